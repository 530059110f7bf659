"""What Alembic runs: the URL comes from the application's settings and from nowhere else."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import NullPool, create_engine

import app.models  # noqa: F401 - fills Base.metadata
from app.db.base import Base
from app.db.session import KEEPALIVES
from app.settings import Settings, load_settings
from app.telemetry.logs import configure_logging


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
    database = settings().database
    postgresql = database.url is not None
    if not postgresql:
        database.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {"connect_timeout": database.connect_timeout_seconds, **KEEPALIVES}
    engine = create_engine(
        database.sqlalchemy_url(),
        poolclass=NullPool,
        connect_args=arguments if postgresql else {},
        hide_parameters=True,
    )
    with engine.connect() as connection:
        if postgresql:
            # Waiting for a table's lock makes every later reader wait behind us: give up soon, and be run again.
            timeout = int(database.lock_timeout_seconds.total_seconds() * 1000)
            connection.exec_driver_sql(f"SET lock_timeout = {timeout}")
            connection.commit()
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
