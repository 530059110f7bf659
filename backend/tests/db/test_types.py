"""Types and constructs that mean the same on both dialects."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.orm import Session

from app.db.session import DatabaseSessionManager
from app.db.types import (
    Guid,
    Inet,
    Json,
    Tags,
    UtcDateTime,
    estimated_count,
    insert_if_absent,
    iso_time,
    json_text,
    tags_all,
    tags_any,
    tags_literal,
    utc_now,
)
from app.models import LoginAttempt
from app.settings import Settings

THINGS = Table(
    "things",
    MetaData(),
    Column("guid", Guid),
    Column("moment", UtcDateTime),
    Column("text", Text),
    Column("number", BigInteger),
    Column("document", Json),
    Column("tags", Tags),
    Column("client", Inet),
)
ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

some = limits(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
# Objects, as in every column of ours: SQLite would store a bare number as one of its own.
documents = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)
# A zone's offset must not push the first and the last day out of the calendar.
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - the zones are drawn apart
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@pytest.fixture
def things(session: Session) -> Session:
    THINGS.create(session.connection())
    return session


def store(session: Session, **values: Any) -> None:
    """Make this the only row."""
    session.execute(THINGS.delete())
    session.execute(insert(THINGS).values(**values))


def shown(session: Session, name: str) -> Any:
    """The column's value as the JSON text that answers are made of, parsed."""
    column = THINGS.c[name]
    text = session.scalar(select(iso_time(column) if name == "moment" else json_text(column)))
    assert text is not None
    return json.loads(text)


def kept(session: Session, name: str) -> Any:
    return session.scalar(select(THINGS.c[name]))


def as_doubles(value: Any) -> Any:
    """The document with its numbers as JSON's readers take them: PostgreSQL writes 1e300 with all its zeros."""
    if isinstance(value, dict):
        return {key: as_doubles(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_doubles(inner) for inner in value]
    exact = not isinstance(value, int) or isinstance(value, bool) or abs(value) < 2**53
    return value if exact else float(value)


# --- values in and out ---------------------------------------------------------------------------------------------


def test_a_uuid_comes_back_and_is_shown_with_dashes(things: Session) -> None:
    value = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
    store(things, guid=value)
    assert (kept(things, "guid"), shown(things, "guid")) == (value, str(value))
    assert things.scalar(select(THINGS.c.guid).where(THINGS.c.guid == value)) == value


@some
@given(value=moments)
@example(value=datetime(999, 1, 1, tzinfo=UTC))
@example(value=datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC))
def test_a_moment_comes_back_in_utc_to_the_microsecond(things: Session, value: datetime) -> None:
    store(things, moment=value)
    found = kept(things, "moment")
    assert (found, found.tzinfo) == (value, UTC)
    assert datetime.fromisoformat(shown(things, "moment")) == value
    assert len(shown(things, "moment")) == len("2026-03-29T01:59:59.999999Z")


@some
@given(values=st.lists(moments, min_size=2, max_size=6))
@example(values=[datetime(999, 1, 1, tzinfo=UTC), datetime(1000, 1, 1, tzinfo=UTC)])
def test_moments_sort_and_compare_as_time_goes(things: Session, values: list[datetime]) -> None:
    things.execute(THINGS.delete())
    things.execute(insert(THINGS), [{"moment": value} for value in values])
    assert list(things.scalars(select(THINGS.c.moment).order_by(THINGS.c.moment))) == sorted(values)
    later = select(func.count()).select_from(THINGS).where(THINGS.c.moment > values[0])
    assert things.scalar(later) == sum(value > values[0] for value in values)


def test_now_is_the_transactions_time_and_compares_with_what_is_stored(things: Session) -> None:
    store(things, moment=utc_now())
    assert abs(kept(things, "moment") - datetime.now(UTC)) < timedelta(minutes=1)
    assert things.scalar(select(THINGS.c.moment <= utc_now()))


@some
@given(value=texts)
@example(value="\"\\/\b\f\n\r\t\x01\x1f\x7f\u2028é€😀'")
def test_text_is_quoted_as_json_asks(things: Session, value: str) -> None:
    store(things, text=value)
    assert (kept(things, "text"), shown(things, "text")) == (value, value)


@some
@given(value=documents)
@example(value={})
@example(value={"a": 12345678901234567890123456789, "b": [1e300, -0.1, 1e-7], 'é"\\': {"": None}})
def test_a_document_comes_back_and_is_shown_as_it_was(things: Session, value: Any) -> None:
    store(things, document=value)
    assert as_doubles(kept(things, "document")) == as_doubles(value)
    assert as_doubles(shown(things, "document")) == as_doubles(value)


@some
@given(value=st.lists(texts, max_size=5))
@example(value=[])
@example(value=["a,b", '"', "\\", "{}", "NULL", " ", ""])
def test_tags_come_back_and_are_shown_as_a_list(things: Session, value: list[str]) -> None:
    store(things, tags=value)
    assert (kept(things, "tags"), shown(things, "tags")) == (value, value)


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63)])
def test_a_whole_number_is_shown_with_all_its_digits(things: Session, value: int) -> None:
    store(things, number=value)
    assert shown(things, "number") == value


@pytest.mark.parametrize("value", ["10.0.0.1", "2001:db8::1"])
def test_an_address_comes_back_without_a_network(things: Session, value: str) -> None:
    store(things, client=value)
    assert (kept(things, "client"), shown(things, "client")) == (value, value)


@pytest.mark.parametrize("name", [column.name for column in THINGS.columns])
def test_null_is_shown_as_null_and_never_makes_the_whole_answer_null(things: Session, name: str) -> None:
    store(things, **dict.fromkeys(THINGS.columns.keys()))
    assert shown(things, name) is None


# --- tags ----------------------------------------------------------------------------------------------------------


@some
@given(have=st.lists(st.sampled_from("abcd"), max_size=4), want=st.lists(st.sampled_from("abcd"), max_size=4))
def test_tags_are_compared_as_sets(things: Session, have: list[str], want: list[str]) -> None:
    store(things, tags=have)
    common, all_of = things.execute(
        select(tags_any(THINGS.c.tags, tags_literal(want)), tags_all(THINGS.c.tags, tags_literal(want)))
    ).one()
    assert (bool(common), bool(all_of)) == (bool(set(have) & set(want)), set(want) <= set(have))


# --- statements ----------------------------------------------------------------------------------------------------


def attempt(row_id: uuid.UUID, email: str) -> dict[str, Any]:
    return {"id": row_id, "email": email}


def test_an_insert_that_finds_its_key_taken_leaves_the_row_alone(session: Session) -> None:
    row_id = uuid.uuid4()
    assert insert_if_absent(session, LoginAttempt, **attempt(row_id, "first")) is True
    assert insert_if_absent(session, LoginAttempt, **attempt(row_id, "second")) is False
    assert session.scalars(select(LoginAttempt.email)).all() == ["first"]


@pytest.mark.parametrize(("commits", "inserted"), [(True, False), (False, True)])
def test_an_insert_waits_for_a_transaction_that_has_the_key(
    settings: Settings, *, commits: bool, inserted: bool
) -> None:
    row_id = uuid.uuid4()
    answers: list[bool] = []
    started = threading.Event()

    def insert_second() -> None:
        with database.session() as session, session.begin():
            started.set()
            answers.append(insert_if_absent(session, LoginAttempt, **attempt(row_id, "second")))

    with DatabaseSessionManager(settings.database) as database, database.session() as first:
        insert_if_absent(first, LoginAttempt, **attempt(row_id, "first"))
        second = threading.Thread(target=insert_second)
        second.start()
        second.join(0.1)
        assert answers == []
        first.commit() if commits else first.rollback()
        second.join(5)
    assert answers == [inserted]


@ON_POSTGRESQL
def test_an_estimate_is_the_planners(things: Session) -> None:
    things.execute(text("INSERT INTO things (number) SELECT n FROM generate_series(1, 1000) n"))
    things.execute(text("ANALYZE things"))
    things.execute(text("DELETE FROM things WHERE number > 10"))
    assert estimated_count(things, select(THINGS.c.number)) == 1000
    assert estimated_count(things, select(THINGS.c.guid).where(THINGS.c.number == 7)) == 1


def test_an_estimate_of_nothing_like_it_is_small(things: Session) -> None:
    store(things, number=1)
    things.connection().exec_driver_sql("ANALYZE things")
    assert estimated_count(things, select(THINGS.c.number)) == 1
