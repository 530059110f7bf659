"""The engine, its sessions, and the way to a first connection."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from anyio.to_thread import run_sync
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.engine.interfaces import DBAPIConnection, ExecutionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.util import greenlet_spawn

from app.db import prepared
from app.db.loop_dialect import LoopCursor, LoopDialect, LoopPool
from app.db.pool import LingeringPool
from app.errors import DatabaseUnavailableError
from app.settings import DatabaseSettings

logger = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 0.5  # doubles each time: five retries take 15 s, a PostgreSQL's start after a crash
SQLITE_BUSY_SECONDS = 10  # writers queue for the file's one lock; as long as a statement may take on PostgreSQL
# The requests are what runs in parallel. A plan with workers takes the processors from other requests, and costs start
# and end of processes; a tile of 20 000 sites took five times as long. Compiled code pays off beyond our time limits.
SERIAL = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
_OPENING = "landfall.opening"  # key in a connection's info: what goes out with a transaction's first statement
# A peer that vanished without a word is noticed after 5 + 2 x 2 s, and unsent bytes are given up after 5 s.
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 5000}

T = TypeVar("T")

registry.register(f"postgresql.{LoopDialect.driver}", LoopDialect.__module__, LoopDialect.__name__)


class DatabaseSessionManager:
    """Owns one engine and the sessions on it; a context manager, so that scripts dispose of it.

    Nothing is kept in a database session beyond a transaction (timeouts are `SET LOCAL`) but prepared statements, which
    are made anew where they are missing: so it works through PgBouncer in transaction mode.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        *,
        hide_parameters: bool = True,
        announce: bool = True,
        by_loop: bool = False,
    ) -> None:
        """`by_loop`: for `read` alone, which then needs no thread; on PostgreSQL."""
        self._settings = settings
        self._by_loop = by_loop
        self.is_postgresql = settings.url is not None
        self._to_announce = announce
        self.engine = self._create_engine(hide_parameters=hide_parameters)
        event.listen(self.engine, "connect", self._on_connect)
        event.listen(self.engine, "begin", self._on_begin)
        if self.is_postgresql:
            event.listen(self.engine, "do_execute", _open_and_execute)
            event.listen(self.engine, "do_executemany", _open)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reader = self.engine.execution_options(landfall_read_only=True)
        self._glancer = self._reader
        if self.is_postgresql:  # what comes in one message is one transaction, with its limits in front
            self._glancer = self._reader.execution_options(landfall_one_by_one=True)
            if not by_loop:  # where there are no others anyway
                self._glancer = self._glancer.execution_options(isolation_level="AUTOCOMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.dispose()

    def dispose(self) -> None:
        self.engine.dispose()

    @property
    def address(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[Session]:
        """A session that rolls back on an error and always closes; it never commits: its user does, by `begin()`.

        A read-only one takes no write lock on SQLite, and PostgreSQL refuses its writes.
        """
        session = self.open_session(read_only=read_only)
        try:
            yield session
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    def open_session(self, *, read_only: bool = False) -> Session:
        """The same for a caller who closes it; it holds no connection outside of its transactions."""
        return self._sessions(bind=self._reader) if read_only else self._sessions()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For reads alone; on PostgreSQL each statement is a transaction, as it sees a moment of its own anyway.

        One round trip, where BEGIN and ROLLBACK would make it three; and no ORM session, which costs more than a short
        query.
        """
        with self._glancer.connect() as connection, connection.begin():
            yield connection

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives for a connection as of `reading`: in a thread, or on the loop, where it must not block."""

        def run() -> T:
            with self.reading() as connection:
                return work(connection)

        return await (greenlet_spawn(run) if self._by_loop else run_sync(run))

    def check(self) -> None:
        """One round trip; raises `DatabaseUnavailableError`, whose cause says why."""
        try:
            with self._reader.connect() as connection:
                connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            raise DatabaseUnavailableError from error

    def connect(self, *, retries: int) -> None:
        """Wait for the first connection, with backoff; raises `DatabaseUnavailableError` after the last try."""
        for attempt in range(retries + 1):
            try:
                self.check()
            except DatabaseUnavailableError as error:
                if attempt == retries:
                    raise
                pause = FIRST_BACKOFF_SECONDS * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
                logger.warning("No connection to %s yet, next try in %.1f s: %s", self.address, pause, why(error))
                time.sleep(pause)
            else:
                return

    def _create_engine(self, *, hide_parameters: bool) -> Engine:
        settings = self._settings
        options: dict[str, Any] = {
            "poolclass": LoopPool if self._by_loop else LingeringPool,
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "pool_recycle": settings.pool_recycle_seconds.total_seconds(),
            "pool_timeout": settings.pool_timeout_seconds.total_seconds(),
            "hide_parameters": hide_parameters,
        }
        if self.is_postgresql:
            connect = {"connect_timeout": settings.connect_timeout_seconds, **KEEPALIVES}
            # The native hstore look-up would cost each new connection a round trip for a type that we do not use.
            options |= {"pool_pre_ping": True, "use_native_hstore": False, "connect_args": connect}
        else:
            settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
            options["connect_args"] = {"check_same_thread": False, "timeout": SQLITE_BUSY_SECONDS}
        url = settings.sqlalchemy_url()
        if self._by_loop:
            return create_async_engine(url.set(drivername=f"postgresql+{LoopDialect.driver}"), **options).sync_engine
        return create_engine(url, **options)

    def _on_connect(self, connection: DBAPIConnection, _record: object) -> None:
        if not self.is_postgresql:
            connection.isolation_level = None  # we say BEGIN ourselves, below
            from app.db import spatial_sqlite  # a tenth of a second: numpy and shapely

            spatial_sqlite.register(connection)
            connection.create_function("lower", 1, _lower, deterministic=True)  # its own knows ASCII only
            connection.create_function("casefold", 1, _casefold, deterministic=True)
            # Refused at once while another process writes in the old mode: the mode is the file's, and can wait.
            with suppress(sqlite3.OperationalError):
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            for pragma in ("foreign_keys = ON", "synchronous = NORMAL", "case_sensitive_like = ON"):
                connection.cursor().execute(f"PRAGMA {pragma}")
        if self._to_announce:
            self._to_announce = False
            logger.info("Database connection established")

    def _on_begin(self, connection: Connection) -> None:
        read_only = connection.get_execution_options().get("landfall_read_only", False)
        if self.is_postgresql:
            milliseconds = int(self._settings.statement_timeout_seconds.total_seconds() * 1000)
            statement = f"SET LOCAL statement_timeout = {milliseconds}; {SERIAL}"
            # It waits for the first statement, since a round trip of its own costs half as much as a short query.
            connection.info[_OPENING] = statement + ("; SET TRANSACTION READ ONLY" if read_only else "")
        else:
            # A deferred transaction that turns into a writer fails at once with "database is locked".
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _open_and_execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool:
    """Whether the statement was executed here."""
    opening = _take_opening(context)
    if opening is None:
        return False
    if isinstance(cursor, LoopCursor) and context.execution_options.get(prepared.PREPARED, False):
        prepared.execute(cursor, opening, statement, parameters, compiled=context.compiled)
    else:
        cursor.execute(f"{opening}; {statement}", parameters)
    return True


def _open(cursor: Any, _statement: str, _parameters: Any, context: ExecutionContext) -> None:
    if opening := _take_opening(context):
        cursor.execute(opening)


def _take_opening(context: ExecutionContext) -> str | None:
    connection = context.root_connection
    if not connection.in_transaction():  # the dialect's own first look at a server, which has no `info`
        return None
    one_by_one = connection.get_execution_options().get("landfall_one_by_one", False)
    opening: str | None = connection.info[_OPENING] if one_by_one else connection.info.pop(_OPENING, None)
    return opening


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _casefold(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def why(error: BaseException) -> str:
    """The driver's own first line: what a person needs, without SQL and parameters."""
    cause = error.__cause__ or error
    origin = getattr(cause, "orig", None) or cause
    return str(origin).strip().split("\n", 1)[0]
