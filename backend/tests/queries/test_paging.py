"""Keyset pages: whatever the rows, each is met once, forth and back, in the same order on either database."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.db.session import DatabaseSessionManager
from app.models import Task, TaskPriority, User
from app.queries.paging import Rows
from app.queries.tasks import fetch_tasks
from app.schemas.common import Count
from app.schemas.task import TaskListQuery, TaskSort
from tests.support.settings import make_settings

OWNER = uuid.UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
PRIORITIES = list(TaskPriority)

many = limits(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example rolls its rows back
)
moments = st.integers(0, 2).map(lambda microseconds: START + timedelta(microseconds=microseconds))
# Lower-case letters alone sort alike under every collation that a given server may have.
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.uuids(version=4),
            "title": st.text("abz", min_size=1, max_size=2),
            "description": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
            "priority": st.sampled_from(PRIORITIES).map(str),
            "due_at": st.none() | moments,
            "created_at": moments,
            "updated_at": moments,
            "tags": st.lists(st.text("xy,", min_size=1, max_size=2), max_size=2),
        }
    ),
    max_size=12,
    unique_by=lambda row: row["id"],
)


@pytest.fixture
def sessions(empty_database_url: str, migrated_sqlite: Path, tmp_path: Path) -> Iterator[Sequence[Session]]:
    """An uncommitted session on each database, with one user."""
    embedded = make_settings(tmp_path)
    shutil.copy(migrated_sqlite, embedded.database.sqlite_path)
    with ExitStack() as stack:
        opened = []
        for settings in (make_settings(tmp_path, database_url=empty_database_url), embedded):
            manager = stack.enter_context(DatabaseSessionManager(settings.database))
            session = stack.enter_context(manager.session())
            session.add(User(id=OWNER, email="a@example.com", password_hash="", role="viewer", locale="en"))
            session.flush()
            opened.append(session)
        yield opened


def fetch(session: Session, query: TaskListQuery) -> tuple[Rows, list[dict[str, Any]]]:
    page = fetch_tasks(session, query)
    return page, json.loads(f"[{page.text}]")


def walk(session: Session, query: TaskListQuery) -> tuple[list[list[dict[str, Any]]], list[list[dict[str, Any]]]]:
    """The pages from the first to the last, and from the last to the first."""
    page, found = fetch(session, query)
    forth = [found]
    while page.next:
        page, found = fetch(session, query.model_copy(update={"cursor": page.next}))
        forth.append(found)
    back = [found]
    while page.prev:
        page, found = fetch(session, query.model_copy(update={"cursor": page.prev}))
        back.append(found)
    return forth, back


def expected(made: Sequence[dict[str, Any]], sort: str) -> list[str]:
    """The ids in order, as Python sorts them."""
    name = sort.removeprefix("-")

    def key(row: dict[str, Any]) -> tuple[Any, uuid.UUID]:
        value = row[name]
        if name == "priority":
            value = PRIORITIES.index(value)
        return (LAST if value is None else value), row["id"]

    return [str(row["id"]) for row in sorted(made, key=key, reverse=sort.startswith("-"))]


@many
@given(made=rows, sort=st.sampled_from(get_args(TaskSort)), limit=st.integers(1, 13))
def test_every_row_is_met_once_forth_and_back_alike_on_both_databases(
    sessions: Sequence[Session], made: list[dict[str, Any]], sort: str, limit: int
) -> None:
    query = TaskListQuery.model_validate({"sort": sort, "limit": limit, "count": "exact"})
    answers = []
    for session in sessions:
        savepoint = session.begin_nested()
        if made:
            session.execute(insert(Task), [row | {"owner_id": OWNER, "status": "pending"} for row in made])
        forth, back = walk(session, query)
        assert fetch_tasks(session, query).count == len(made)
        savepoint.rollback()
        assert [row["id"] for page in forth for row in page] == expected(made, sort)
        assert back == forth[::-1]
        assert all(len(page) == limit for page in forth[:-1])
        answers.append(forth)
    assert answers[0] == answers[1]


def test_a_neighbour_is_named_only_where_there_is_one(sessions: Sequence[Session]) -> None:
    for session in sessions:
        values = {"owner_id": OWNER, "description": "", "status": "pending", "priority": "low", "tags": []}
        session.execute(insert(Task), [values | {"title": title} for title in "ab"])
        query = TaskListQuery(limit=1, sort="title", count=Count.NONE)
        first = fetch_tasks(session, query)
        second = fetch_tasks(session, query.model_copy(update={"cursor": first.next}))
        again = fetch_tasks(session, query.model_copy(update={"cursor": second.prev}))
        assert (first.prev, second.next, again.prev) == (None, None, None)
        assert again.text == first.text
        whole = fetch_tasks(session, query.model_copy(update={"limit": 2}))
        assert (whole.next, whole.prev) == (None, None)


def test_an_estimate_is_the_planners_and_exact_on_sqlite(sessions: Sequence[Session]) -> None:
    postgresql, embedded = sessions
    for session in sessions:
        values = {"owner_id": OWNER, "description": "", "status": "pending", "priority": "low", "tags": []}
        session.execute(insert(Task), [values | {"title": "a"} for _ in range(5)])
    query = TaskListQuery(limit=1, count=Count.ESTIMATED)
    assert fetch_tasks(embedded, query).count == 5
    estimate = fetch_tasks(postgresql, query).count
    assert estimate is not None
    assert estimate > 0
