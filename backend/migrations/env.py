"""What Alembic runs: the URL comes from the application's settings and from nowhere else."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection, Engine, NullPool, create_engine, event

import app.models  # noqa: F401 - fills Base.metadata
from app.db.base import Base
from app.db.session import KEEPALIVES, SQLITE_BUSY_SECONDS
from app.settings import Settings, load_settings
from app.telemetry.logs import configure_logging

logger = logging.getLogger("app.migrations")

LOCK = 0x1A4DFA11  # one of our own: whoever starts us may hold another
POLL_SECONDS = 0.2


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave PostGIS' own tables alone, and on SQLite what only PostgreSQL has."""
    dialects = getattr(item, "info", {}).get("dialects")
    if dialects and context.get_context().dialect.name not in dialects:
        return False
    return bool(alembic_helpers.include_object(item, name, kind, reflected, compare_to))


OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "include_object": include_object,
    "process_revision_directives": alembic_helpers.writer,
    "render_item": alembic_helpers.render_item,
    "transaction_per_migration": True,
    "render_as_batch": True,
    "compare_type": True,
}


def settings() -> Settings:
    given: Settings | None = context.config.attributes.get("settings")
    if given is not None:
        return given
    loaded = load_settings()
    configure_logging(loaded)
    return loaded


def run_offline() -> None:
    context.configure(
        url=settings().database.sqlalchemy_url(), literal_binds=True, dialect_opts={"paramstyle": "named"}, **OPTIONS
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    engine = create_migration_engine(settings())
    with alone(engine), engine.connect() as connection, warnings.catch_warnings():
        # Said of an index that SQLite never has, before `include_object` is asked about it.
        warnings.filterwarnings("ignore", message="autogenerate skipping .* 'ix_sites_geography'; dialect 'sqlite'")
        sqlite = connection.dialect.name == "sqlite"
        # SQLite has no advisory locks: there all revisions are one transaction, which holds the file's write lock.
        transaction = connection.begin() if sqlite else None
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
        if transaction:
            transaction.commit()


def create_migration_engine(settings: Settings) -> Engine:
    database = settings.database
    if database.url is None:
        database.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
        arguments: dict[str, Any] = {"isolation_level": None, "timeout": SQLITE_BUSY_SECONDS}
        first = "BEGIN IMMEDIATE"
    else:
        arguments = {"connect_timeout": database.connect_timeout_seconds, **KEEPALIVES}
        # Waiting for a table's lock makes every later reader wait behind us: give up soon, and be run again.
        first = f"SET LOCAL lock_timeout = {int(database.lock_timeout_seconds.total_seconds() * 1000)}"
    engine = create_engine(database.sqlalchemy_url(), poolclass=NullPool, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(first)

    return engine


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Wait until no other process migrates the same PostgreSQL database, and keep others out.

    The lock is a transaction's, so that it also holds through a transaction pooler; it is polled, since a statement
    that waits keeps its snapshot, for whose end `CREATE INDEX CONCURRENTLY` in the other process would wait.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:
        told = False
        while not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({LOCK})").scalar():
            if not told:
                logger.info("Another process migrates this database: waiting for it")
                told = True
            time.sleep(POLL_SECONDS)
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


if context.is_offline_mode():
    run_offline()
else:
    run_online()
