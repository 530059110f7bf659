"""Every list, by each of its orders and both ways, is the same by statements that are kept prepared as by others."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
from sqlalchemy import Connection

from app.db.session import DatabaseSessionManager
from app.models import Artifact, AuditEvent, Site, SiteExport, Task, TaskPriority, User
from app.queries import artifacts, audit_events, site_exports, sites, tasks, users
from app.queries.paging import Rows
from app.queries.sites import Area, geometry_from_wkb
from app.schemas.artifact import ArtifactListQuery
from app.schemas.audit_event import AuditEventListQuery
from app.schemas.common import Count
from app.schemas.site import SiteListQuery
from app.schemas.site_export import SiteExportListQuery
from app.schemas.task import TaskListQuery
from app.schemas.user import UserListQuery
from app.settings import Settings

OWNER = {"owner_id": uuid.UUID(int=1)}
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 7
LISTS: dict[str, tuple[Callable[..., Rows], Any, Any]] = {
    "artifacts": (artifacts.fetch_artifacts, ArtifactListQuery, artifacts.KEYS),
    "audit": (audit_events.fetch_audit_events, AuditEventListQuery, audit_events.KEYS),
    "exports": (lambda *of: site_exports.fetch_exports(*of, owner_id=None), SiteExportListQuery, site_exports.KEYS),
    "sites": (lambda *of: sites.fetch_sites(*of, area=Area()), SiteListQuery, sites.KEYS),
    "tasks": (tasks.fetch_tasks, TaskListQuery, tasks.KEYS),
    "users": (users.fetch_users, UserListQuery, users.KEYS),
}


def made() -> Iterator[Any]:
    yield User(id=OWNER["owner_id"], email="a@example.com", password_hash="", role="viewer", locale="en")
    for n in range(ROWS):
        # Some of them alike, and what would mean something in a statement's text.
        known, odd, moment = uuid.uuid4(), f"%s %(a)s $1 :b \\ ' \" {n // 2}", START + timedelta(microseconds=n // 2)
        times = {"created_at": moment, "updated_at": moment}
        yield User(id=known, email=f"%{n}@example.com", password_hash="", role="viewer", locale="en", **times)
        point = geometry_from_wkb(shapely.to_wkb(shapely.Point(n, 1)))
        yield Site(id=known, name=odd, kind=odd, external_id=odd + str(n), properties={}, geom=point, **times, **OWNER)
        yield Task(
            id=known,
            title=odd,
            description="",
            status="pending",
            priority=list(TaskPriority)[n % len(TaskPriority)],
            tags=[],
            due_at=moment if n % 2 else None,
            **times,
            **OWNER,
        )
        yield Artifact(
            id=known,
            file_name=odd,
            media_type="text/plain",
            size_bytes=n // 2 * 2**60 + 1,
            sha256="a" * 64,
            storage_key=str(n),
            state="pending",
            details={},
            **times,
            **OWNER,
        )
        yield AuditEvent(id=known, action="a", subject_id=known, detail={}, occurred_at=moment)
        yield SiteExport(id=known, format="csv", filters={}, state="pending", created_at=moment)


def walked(connection: Connection, fetch: Callable[..., Rows], query: Any) -> list[Rows]:
    """All pages, forth and back."""
    pages = [fetch(connection, query)]
    while pages[-1].next:
        pages.append(fetch(connection, query.model_copy(update={"cursor": pages[-1].next})))
    while pages[-1].prev:
        pages.append(fetch(connection, query.model_copy(update={"cursor": pages[-1].prev})))
    return pages


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_each_page_is_as_others_have_it(settings: Settings) -> None:
    orders = [
        (fetch, query(limit=2, sort=sign + key, count=count))
        for fetch, query, keys in LISTS.values()
        for key, sign, count in itertools.product(keys, ("", "-"), (Count.NONE, Count.EXACT))
    ]

    async def body() -> None:
        with DatabaseSessionManager(settings.database, by_loop=True) as reads:
            for (fetch, query), known in zip(orders, plain, strict=True):
                # A second time by the plan of the first.
                for _ in range(2):
                    assert await reads.read(lambda connection, f=fetch, q=query: walked(connection, f, q)) == known  # type: ignore[misc]

    with DatabaseSessionManager(settings.database) as database:
        with database.session() as session, session.begin():
            for row in made():
                session.add(row)
                session.flush()
        with database.reading() as connection:
            plain = [walked(connection, *order) for order in orders]
        assert all(len(pages) >= ROWS // 2 * 2 for pages in plain)
        asyncio.run(body())
