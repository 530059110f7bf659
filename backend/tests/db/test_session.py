"""Sessions: what they roll back, close, refuse and wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import QueuePool, func, select, text
from sqlalchemy.exc import InternalError, OperationalError

from app.db.session import DatabaseSessionManager
from app.deps import DbSession
from app.main import create_app
from app.models import LoginAttempt
from app.settings import Settings
from tests.support.api import Api, problem_of, task
from tests.support.conformance import Document

POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def database(settings: Settings) -> Iterator[DatabaseSessionManager]:
    with DatabaseSessionManager(settings.database) as database:
        yield database


def with_limits(settings: Settings, **limits: timedelta) -> DatabaseSessionManager:
    return DatabaseSessionManager(settings.database.model_copy(update=limits))


def attempt(email: str = "someone@example.com") -> LoginAttempt:
    return LoginAttempt(email=email, client=None)


def count(database: DatabaseSessionManager) -> int:
    with database.session(read_only=True) as session, session.begin():
        return session.scalar(select(func.count()).select_from(LoginAttempt)) or 0


def checked_out(database: DatabaseSessionManager) -> int:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def fail_after_writing(database: DatabaseSessionManager) -> None:
    with database.session() as session:
        session.add(attempt())
        session.flush()
        raise LookupError


def test_an_error_rolls_back_and_gives_the_connection_back(database: DatabaseSessionManager) -> None:
    with pytest.raises(LookupError):
        fail_after_writing(database)
    assert (count(database), checked_out(database)) == (0, 0)


def test_a_session_that_nobody_commits_leaves_nothing(database: DatabaseSessionManager) -> None:
    with database.session() as session:
        session.add(attempt())
        session.flush()
    assert (count(database), checked_out(database)) == (0, 0)


def test_what_its_user_commits_stays(database: DatabaseSessionManager) -> None:
    with database.session() as session, session.begin():
        session.add(attempt())
    assert (count(database), checked_out(database)) == (1, 0)


def test_no_connection_is_held_between_transactions(database: DatabaseSessionManager) -> None:
    with database.session() as session:
        assert checked_out(database) == 0
        with session.begin():
            session.execute(text("SELECT 1"))
            assert checked_out(database) == 1
        assert checked_out(database) == 0


@POSTGRESQL
def test_a_read_only_session_refuses_writes(database: DatabaseSessionManager) -> None:
    with (
        pytest.raises(InternalError, match="read-only transaction"),
        database.session(read_only=True) as session,
        session.begin(),
    ):
        session.add(attempt())


@POSTGRESQL
def test_a_read_only_session_leaves_its_connection_fit_for_writing(settings: Settings) -> None:
    one = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0})
    with DatabaseSessionManager(one) as database:
        count(database)
        with database.session() as session, session.begin():
            session.add(attempt())
        assert count(database) == 1


@SQLITE
def test_a_read_only_session_takes_no_write_lock(database: DatabaseSessionManager) -> None:
    with database.session(read_only=True) as reader, reader.begin():
        reader.execute(select(LoginAttempt)).all()
        with database.session() as writer, writer.begin():
            writer.add(attempt())
            writer.flush()
            assert count(database) == 0
    assert count(database) == 1


@POSTGRESQL
def test_a_statement_ends_at_its_timeout(settings: Settings) -> None:
    with (
        with_limits(settings, statement_timeout_seconds=timedelta(milliseconds=50)) as database,
        pytest.raises(OperationalError, match="statement timeout"),
        database.session() as session,
        session.begin(),
    ):
        session.execute(text("SELECT pg_sleep(10)"))


@POSTGRESQL
def test_a_request_whose_statement_times_out_is_told_to_come_back(settings: Settings) -> None:
    limited = settings.database.model_copy(update={"statement_timeout_seconds": timedelta(milliseconds=50)})
    app = create_app(settings.model_copy(update={"database": limited}))
    with TestClient(app) as client, app.state.database.session() as holder:
        api = Api(app, client, Document(app.openapi()))
        made = api.editor.create("/tasks", task())
        with holder.begin():
            holder.execute(text("SELECT 1 FROM tasks FOR UPDATE"))
            answer = api.editor.patch(f"/tasks/{made['id']}", json={"title": "Held"})
        assert problem_of(answer) == (503, "timeout")
        assert answer.headers["Retry-After"]
        assert api.editor.patch(f"/tasks/{made['id']}", json={"title": "Free"}).status_code == 200


@POSTGRESQL
def test_a_write_to_a_database_that_became_read_only_is_told_to_come_back(settings: Settings) -> None:
    app = create_app(settings)
    with TestClient(app) as client:
        api = Api(app, client, Document(app.openapi()))
        made = api.editor.create("/tasks", task())
        engine = app.state.database.engine
        with engine.begin() as connection:  # as a standby after a failover
            connection.execute(text(f'ALTER DATABASE "{engine.url.database}" SET default_transaction_read_only = on'))
        engine.dispose()
        answer = api.editor.patch(f"/tasks/{made['id']}", json={"title": "Changed"})
        read = api.editor.get(f"/tasks/{made['id']}")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(f'ALTER DATABASE "{engine.url.database}" RESET default_transaction_read_only'))
        engine.dispose()
        assert problem_of(answer) == (503, "database-unavailable")
        assert answer.headers["Retry-After"]
        assert read.status_code == 200


@pytest.mark.parametrize("path", ["/forgets", "/fails"])
def test_a_request_that_leaves_its_transaction_open_is_rolled_back_and_its_connection_returned(
    database: DatabaseSessionManager, path: str
) -> None:
    app = FastAPI()
    app.state.database = database

    @app.post("/forgets")
    def forget(session: DbSession) -> None:
        session.add(attempt())
        session.flush()

    @app.post("/fails")
    def fail(session: DbSession) -> None:
        forget(session)
        raise LookupError

    with TestClient(app, raise_server_exceptions=False) as client:
        client.post(path)
        assert (count(database), checked_out(database)) == (0, 0)


@POSTGRESQL
def test_the_limits_hold_for_many_rows_as_the_first_statement_too(database: DatabaseSessionManager) -> None:
    rows = [{"email": f"{number}@example.com"} for number in range(3)]
    with pytest.raises(InternalError, match="read-only transaction"), database.session(read_only=True) as session:
        session.execute(text("INSERT INTO login_attempts (email) VALUES (:email)"), rows)


@POSTGRESQL
def test_what_is_read_has_the_limits_with_each_statement(settings: Settings) -> None:
    with with_limits(settings, statement_timeout_seconds=timedelta(milliseconds=50)) as database:
        for _ in range(2):
            with database.reading() as connection:
                connection.execute(text("SELECT 1"))
                with pytest.raises(OperationalError, match="statement timeout"):
                    connection.execute(text("SELECT pg_sleep(10)"))
                with pytest.raises(InternalError, match="read-only transaction"):
                    connection.execute(text("DELETE FROM users"))
        with database.session() as session, session.begin():
            assert session.scalar(text("SHOW transaction_read_only")) == "off"


@POSTGRESQL
def test_a_plan_keeps_to_one_process(settings: Settings) -> None:
    with DatabaseSessionManager(settings.database) as database, database.reading() as connection:
        workers, jit = (connection.scalar(text(f"SHOW {name}")) for name in ("max_parallel_workers_per_gather", "jit"))
        assert (workers, jit) == ("0", "off")


@POSTGRESQL
def test_the_timeout_ends_with_the_transaction(settings: Settings) -> None:
    with with_limits(settings, statement_timeout_seconds=timedelta(milliseconds=50)) as database:
        with database.session() as session, session.begin():
            assert session.scalar(text("SHOW statement_timeout")) == "50ms"
        with database.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            cursor.execute("ROLLBACK")
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


@SQLITE
def test_320_parallel_writes_find_nothing_locked(database: DatabaseSessionManager) -> None:
    start = threading.Barrier(32)

    def write(writer: int) -> None:
        start.wait(10)
        for number in range(10):
            with database.session() as session, session.begin():
                # Read, then write: what fails at once in a deferred transaction.
                session.scalar(select(func.count()).select_from(LoginAttempt))
                session.add(attempt(f"{writer}-{number}@example.com"))

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(write, range(32)))
    assert count(database) == 320
