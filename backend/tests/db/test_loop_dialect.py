"""Reads for which the event loop waits: their limits, their errors, and what becomes of the connections."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ARRAY, JSON, Connection, Select, Text, bindparam, select, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.pool import LingeringPool
from app.db.session import DatabaseSessionManager
from app.db.types import Guid, UtcDateTime
from app.settings import Settings
from tests.support.settings import make_settings

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

PID = text("SELECT pg_backend_pid()")
SLEEP = text("SELECT 1 FROM pg_sleep(5)")


@asynccontextmanager
async def reading(
    settings: Settings, *, connections: int = 1, **limits: object
) -> AsyncIterator[DatabaseSessionManager]:
    pool = {"pool_size": connections, "max_overflow": 0}
    with DatabaseSessionManager(settings.database.model_copy(update=pool | limits), by_loop=True) as reads:
        yield reads


async def one(reads: DatabaseSessionManager, statement: Any = PID, **parameters: object) -> Any:
    return await reads.read(lambda connection: connection.scalar(statement, parameters))


def test_a_statement_gets_its_parameters_and_gives_its_rows(settings: Settings) -> None:
    known, percent, moment = uuid.uuid4(), "100 %", datetime(2026, 2, 3, tzinfo=UTC)
    types: dict[str, Any] = {
        "id": Guid(),
        "texts": ARRAY(Text),
        "word": Text(),
        "moment": UtcDateTime(),
        "json": JSON(),
    }
    statement: Select[Any] = select(*(bindparam(name, type_=kind).label(name) for name, kind in types.items()))
    given = {"id": known, "texts": ["a", "b"], "word": percent, "moment": moment, "json": {"a": [1]}}

    async def body() -> None:
        async with reading(settings) as reads:
            rows = await reads.read(lambda connection: connection.execute(statement, given).all())
            assert [row._asdict() for row in rows] == [given]
            nothing = text("SELECT 1 WHERE false")
            assert await reads.read(lambda connection: connection.execute(nothing).all()) == []
            many = text("SELECT repeat('x', 1000) FROM generate_series(1, 9000)")
            assert len(await reads.read(lambda connection: connection.execute(many).all())) == 9000

    asyncio.run(body())


def test_each_statement_has_the_limits_of_a_read(settings: Settings) -> None:
    def work(connection: Connection) -> None:
        for _ in range(2):
            with pytest.raises(OperationalError, match="statement timeout"):
                connection.execute(text("SELECT pg_sleep(10)"))
            with pytest.raises(InternalError, match="read-only transaction"):
                connection.execute(text("DELETE FROM users"))

    async def body() -> None:
        async with reading(settings, statement_timeout_seconds=timedelta(milliseconds=50)) as reads:
            pid = await one(reads)
            await reads.read(work)
            assert await one(reads) == pid  # it is none the worse for it

    asyncio.run(body())


def test_what_cannot_be_sent_leaves_the_connection_as_it_is(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings) as reads:
            pid = await one(reads)
            for word, error in (("a\0", ValueError), (object(), ProgrammingError)):
                with pytest.raises(error):
                    await one(reads, text("SELECT :word"), word=word)
                assert await one(reads) == pid

    asyncio.run(body())


def test_tasks_share_the_connections_and_wait_their_turn(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings, connections=2) as reads:
            pids = await asyncio.gather(*(one(reads) for _ in range(20)))
            assert len(set(pids)) == 2

    asyncio.run(body())


def test_who_waits_too_long_is_told(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings, pool_timeout_seconds=timedelta(milliseconds=50)) as reads:
            held = asyncio.create_task(one(reads, text("SELECT 1 FROM pg_sleep(0.5)")))
            await asyncio.sleep(0.1)
            with pytest.raises(PoolTimeoutError):
                await one(reads)
            await held
            assert await one(reads)

    asyncio.run(body())


def test_a_task_that_is_given_up_takes_its_connection_along_and_leaves_its_place(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings) as reads:
            pid = await one(reads)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await one(reads, SLEEP)
            assert await one(reads) != pid

    asyncio.run(body())


def test_the_loop_serves_others_meanwhile(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings) as reads:
            await one(reads)
            with DatabaseSessionManager(settings.database) as other, other.session() as session, session.begin():
                session.execute(text("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"))
                asked = asyncio.create_task(one(reads, text("SELECT count(*) FROM tasks")))
                for _ in range(11):
                    await asyncio.sleep(0.01)
                assert not asked.done()
            assert await asked == 0  # where the loop waited too, the lock would outlast the statement's time

    asyncio.run(body())


async def cut(settings: Settings, pid: int) -> None:
    with DatabaseSessionManager(settings.database) as other, other.reading() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_a_connection_that_was_cut_while_it_rested_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LingeringPool, "trusted_seconds", 0.0)

    async def body() -> None:
        async with reading(settings) as reads:
            pid = await one(reads)
            await cut(settings, pid)
            assert await one(reads) != pid

    asyncio.run(body())


def test_one_that_was_just_at_work_fails_once_and_takes_those_that_rest_along(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings, connections=2) as reads:
            both = text("SELECT pg_backend_pid() FROM pg_sleep(0.2)")
            pids = await asyncio.gather(one(reads, both), one(reads, both))
            assert len(set(pids)) == 2
            for pid in pids:
                await cut(settings, pid)
            with pytest.raises(OperationalError):
                await one(reads)
            assert await one(reads) not in pids

    asyncio.run(body())


def test_one_that_is_cut_at_work_fails(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings) as reads:
            pid = await one(reads)
            asked = asyncio.create_task(one(reads, SLEEP))
            await asyncio.sleep(0.1)
            await cut(settings, pid)
            with pytest.raises(OperationalError, match="terminating connection"):
                await asked
            assert await one(reads) != pid

    asyncio.run(body())


def test_an_old_connection_is_replaced(settings: Settings) -> None:
    async def body() -> None:
        async with reading(settings, pool_recycle_seconds=timedelta(milliseconds=1)) as reads:
            first = await one(reads)
            await asyncio.sleep(0.01)
            assert await one(reads) != first

    asyncio.run(body())


@pytest.mark.parametrize("hangs", [False, True], ids=["closed", "hangs"])
def test_a_server_that_is_away_fails_in_time_and_tells_no_password(
    settings: Settings, tmp_path: Any, *, hangs: bool
) -> None:
    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            if not hangs:
                server.close()
            port = server.getsockname()[1] if hangs else 1
            url = f"postgresql://landfall:tell-no-one@127.0.0.1:{port}/landfall"
            other = make_settings(tmp_path, database_url=url)
            async with reading(other, connect_timeout_seconds=1) as reads:
                with pytest.raises(DBAPIError) as caught:
                    await one(reads)
        assert isinstance(caught.value, OperationalError)
        assert "tell-no-one" not in f"{caught.value!r} {caught.value}"

    asyncio.run(body())
