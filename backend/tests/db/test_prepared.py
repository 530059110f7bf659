"""Statements that are planned once for a connection: their parameters, and what becomes of them beside others."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, literal, select, text
from sqlalchemy.exc import DBAPIError, NotSupportedError, OperationalError

from app.db import prepared
from app.db.prepared import PREPARED
from app.db.session import DatabaseSessionManager
from app.queries.features import fetch_features
from app.queries.tiles import FLAT_ZOOM, Place, fetch_tile
from app.schemas.common import Count
from app.schemas.feature import FeatureListQuery
from app.settings import Settings
from tests.conftest import required
from tests.support.pgbouncer import find_binary, pgbouncer
from tests.support.settings import make_settings

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

KEPT = text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements ORDER BY prepare_time")
ID = uuid.uuid4()
WORD = text("SELECT CAST(:word AS text) || '%' || CAST(:number + 1 AS text) || :word")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a single connection for all that is read."""
    one = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0})
    return settings.model_copy(update={"database": one})


@pytest.fixture
def both(settings: Settings, tmp_path: Path) -> Iterator[tuple[DatabaseSessionManager, DatabaseSessionManager]]:
    """Two processes' reads, which share one connection of PgBouncer's."""
    required(find_binary)
    with ExitStack() as stack:
        direct = settings.database.sqlalchemy_url().set(drivername="postgresql").render_as_string(hide_password=False)
        bounced = make_settings(tmp_path, database_url=stack.enter_context(pgbouncer(direct))).database
        first, second = (stack.enter_context(DatabaseSessionManager(bounced, by_loop=True)) for _ in range(2))
        yield first, second


def kept(connection: Connection, statement: Any = WORD, **parameters: object) -> Any:
    return connection.execute(statement, parameters, execution_options={PREPARED: True}).scalar()


def plans(connection: Connection) -> list[tuple[int, int]]:
    return [(row.generic_plans, row.custom_plans) for row in connection.execute(KEPT)]


def reading(settings: Settings, work: Any) -> Any:
    async def body() -> Any:
        async with asyncio.timeout(30):
            with DatabaseSessionManager(settings.database, by_loop=True) as reads:
                return await reads.read(work)

    return asyncio.run(body())


def test_it_is_planned_once_for_all_its_parameters(settings: Settings) -> None:
    def work(connection: Connection) -> None:
        for number in range(8):
            assert kept(connection, word="a'%", number=number) == f"a'%%{number + 1}a'%"
        assert plans(connection) == [(8, 0)]
        assert connection.execute(WORD, {"word": "b", "number": 1}).scalar() == "b%2b"
        assert plans(connection) == [(8, 0)]

    reading(settings, work)


def test_threads_connections_execute_it_as_it_is(settings: Settings) -> None:
    with DatabaseSessionManager(settings.database) as database:
        with database.reading() as connection:
            assert kept(connection, word="a", number=1) == "a%2a"
            assert plans(connection) == []
        with database.session() as session, session.begin():
            assert kept(session.connection(), word="a", number=1) == "a%2a"


def test_it_has_the_limits_of_a_read_and_is_good_for_another_after_them(settings: Settings) -> None:
    brief = settings.database.model_copy(update={"statement_timeout_seconds": timedelta(milliseconds=50)})
    sleep = text("SELECT CAST(pg_sleep(:seconds) AS text)")

    def work(connection: Connection) -> None:
        for _ in range(2):
            with pytest.raises(OperationalError, match="statement timeout"):
                kept(connection, sleep, seconds=5)
        assert kept(connection, sleep, seconds=0) == ""
        with pytest.raises(DBAPIError, match="read-only transaction"):
            kept(connection, text("DELETE FROM users WHERE email = :email RETURNING 1"), email="a")

    reading(settings.model_copy(update={"database": brief}), work)


def test_to_prepare_it_waits_for_a_lock_no_longer_than_a_read_may_take(settings: Settings) -> None:
    brief = settings.database.model_copy(update={"statement_timeout_seconds": timedelta(milliseconds=50)})
    read = text("SELECT CAST(count(*) AS text) FROM tasks")

    def work(connection: Connection) -> None:
        with DatabaseSessionManager(settings.database) as database, database.session() as session, session.begin():
            session.execute(text("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(OperationalError, match="statement timeout"):  # it would wait for ever
                kept(connection, read)
        assert kept(connection, read) == "0"

    reading(settings.model_copy(update={"database": brief}), work)


def test_a_number_is_one_where_its_place_would_take_a_text_too(settings: Settings) -> None:
    def work(connection: Connection) -> None:
        given = (5, 2**40, 0.5, True, "a")
        for _ in range(2):
            found = connection.execute(select(*map(literal, given)), execution_options={PREPARED: True}).one()
            assert tuple(found) == given
        assert [type(value) for value in found] == [int, int, float, bool, str]

    reading(settings, work)


def test_what_postgresql_cannot_do_is_told_as_without(settings: Settings) -> None:
    def work(connection: Connection) -> None:
        for _ in range(2):
            with pytest.raises(NotSupportedError, match="FOR UPDATE is not allowed"):
                kept(connection, text("SELECT DISTINCT email FROM users FOR UPDATE"))
        assert kept(connection, word="a", number=1) == "a%2a"

    reading(settings, work)


def test_what_somebody_removed_is_made_again(settings: Settings) -> None:
    def work(connection: Connection) -> None:
        assert kept(connection, word="a", number=1) == "a%2a"
        connection.execute(text("DEALLOCATE ALL"))
        assert kept(connection, word="a", number=2) == "a%3a"
        assert plans(connection) == [(1, 0)]

    reading(settings, work)


def test_a_column_that_a_migration_changed_is_read_in_its_new_type(settings: Settings) -> None:
    with DatabaseSessionManager(settings.database) as database:

        def change(*statements: str) -> None:
            with database.session() as session, session.begin():
                for statement in statements:
                    session.execute(text(statement))

        def work(connection: Connection) -> None:
            read = text("SELECT word FROM changing")
            assert kept(connection, read) == 1
            change("ALTER TABLE changing ALTER word TYPE text")
            assert kept(connection, read) == "1"
            assert plans(connection) == [(1, 0)]

        change("CREATE TABLE changing (word int)", "INSERT INTO changing VALUES (1)")
        try:
            reading(settings, work)
        finally:
            change("DROP TABLE changing")


def test_a_connection_keeps_no_more_than_it_may(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST", 3)

    def work(connection: Connection) -> None:
        for number in range(10):
            assert kept(connection, text(f"SELECT {number}")) == number
            assert len(plans(connection)) <= 3
        assert kept(connection, text("SELECT 0")) == 0

    reading(settings, work)


def test_processes_share_what_a_connection_of_pgbouncers_keeps(
    both: tuple[DatabaseSessionManager, DatabaseSessionManager],
) -> None:
    async def body() -> None:
        for _ in range(3):
            for reads in both:
                assert await reads.read(lambda connection: kept(connection, word="a", number=1)) == "a%2a"
        assert await both[0].read(plans) == [(6, 0)]
        await both[1].read(lambda connection: connection.execute(text("DEALLOCATE ALL")))
        for reads in both:
            assert await reads.read(lambda connection: kept(connection, word="b", number=0)) == "b%1b"
        assert await both[0].read(plans) == [(2, 0)]

    asyncio.run(body())


def test_a_page_and_a_tile_without_a_filter_are_kept_and_others_planned_for_what_they_look_for(
    settings: Settings,
) -> None:
    def tile(connection: Connection, zoom: int, *kinds: str) -> None:
        place = Place(zoom=zoom, x=0, y=0)
        fetch_tile(connection, place, caller_id=ID, properties=("name",), kinds=kinds, owner_id=None)

    def page(connection: Connection, **query: Any) -> None:
        fetch_features(connection, FeatureListQuery(limit=10, **query), boxes=None, condition=None)

    def work(connection: Connection) -> None:
        for _ in range(2):
            page(connection, name="a")
            tile(connection, FLAT_ZOOM, "well")
            tile(connection, FLAT_ZOOM - 1)
        assert plans(connection) == []
        for _ in range(2):
            page(connection)
            page(connection, count=Count.EXACT)
            tile(connection, FLAT_ZOOM)
            tile(connection, FLAT_ZOOM + 5)
        assert plans(connection) == [(2, 0), (2, 0), (4, 0)]
        names = [re.search("ST_AsMVT|FROM sites", row.statement) for row in connection.execute(KEPT)]
        assert [found and found[0] for found in names] == ["FROM sites", "FROM sites", "ST_AsMVT"]

    reading(settings, work)
