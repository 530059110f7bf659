"""Who may migrate, and how many at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.settings import Settings
from tests.support.cli import environment_for, start
from tests.support.secrets import DATABASE_PASSWORD
from tests.support.settings import make_settings

ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
FIRST = "a1f0c2d9e301"
LOCK = "SELECT pg_advisory_xact_lock(x'1a4dfa11'::bigint)"


def environment_of(settings: Settings, directory: Path) -> dict[str, str]:
    url = settings.database.url
    return environment_for(directory, database_url=url.get_secret_value() if url else None)


def has_postgis(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'postgis'")))


@pytest.fixture
def superuser(engine: Engine) -> Iterator[Engine]:
    """The server's first user on the test's database, each statement a transaction."""
    superuser = create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield superuser
    superuser.dispose()


@pytest.fixture
def as_plain_owner(blank: Settings, superuser: Engine, tmp_path: Path) -> Iterator[Settings]:
    """The same database as a role that owns it and may nothing else."""
    assert blank.database.url is not None
    name = f"{superuser.url.database}_owner"
    with superuser.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD '{DATABASE_PASSWORD}'"))
        connection.execute(text(f"ALTER DATABASE {superuser.url.database} OWNER TO {name}"))
    url = make_url(blank.database.url.get_secret_value()).set(username=name)
    yield make_settings(tmp_path, database_url=url.render_as_string(hide_password=False))
    with superuser.connect() as connection:
        connection.execute(text(f"REASSIGN OWNED BY {name} TO {superuser.url.username}"))
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))


@ON_POSTGRESQL
def test_a_downgrade_takes_the_extension_that_the_upgrade_made(blank: Settings, engine: Engine) -> None:
    migrate.upgrade(blank, target=FIRST)
    assert has_postgis(engine)
    migrate.downgrade(blank, target="base")
    assert not has_postgis(engine)


@ON_POSTGRESQL
def test_a_downgrade_keeps_an_extension_that_was_there_before(
    blank: Settings, engine: Engine, superuser: Engine
) -> None:
    with superuser.connect() as connection:
        connection.execute(text("CREATE EXTENSION postgis"))
    migrate.upgrade(blank, target=FIRST)
    migrate.downgrade(blank, target="base")
    assert has_postgis(engine)


@ON_POSTGRESQL
def test_no_superuser_is_needed_where_the_extension_is_there(
    blank: Settings, engine: Engine, superuser: Engine, as_plain_owner: Settings
) -> None:
    with superuser.connect() as connection:
        connection.execute(text("CREATE EXTENSION postgis"))
    migrate.upgrade(as_plain_owner)
    migrate.downgrade(as_plain_owner, target="base")
    assert has_postgis(engine)


@ON_POSTGRESQL
def test_without_the_extension_a_plain_role_is_told_what_it_lacks(as_plain_owner: Settings) -> None:
    with pytest.raises(DBAPIError, match='permission denied to create extension "postgis"'):
        migrate.upgrade(as_plain_owner)


def test_of_two_that_migrate_at_once_one_waits(blank: Settings, tmp_path: Path) -> None:
    environment = environment_of(blank, tmp_path)
    both = [start("migrate", environment=environment, directory=tmp_path / name) for name in ("one", "other")]
    done = [process.end() for process in both]
    assert [process.exit_code for process in done] == [0, 0]
    assert sorted("Running upgrade" in process.stderr for process in done) == [False, True]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_file_that_another_process_writes_for_the_first_time_can_be_opened(blank: Settings) -> None:
    """SQLite refuses the switch to its write-ahead log at once then, without waiting."""
    with closing(sqlite3.connect(blank.database.sqlite_path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE first (id)")
        writer.execute("BEGIN IMMEDIATE")
        with DatabaseSessionManager(blank.database) as database:
            database.check()
        writer.execute("COMMIT")
    with DatabaseSessionManager(blank.database) as database, database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@ON_POSTGRESQL
def test_who_waits_says_so_and_goes_on_when_the_other_has_ended(
    blank: Settings, engine: Engine, tmp_path: Path
) -> None:
    with engine.begin() as other:
        other.execute(text(LOCK))
        waiting = start("migrate", environment=environment_of(blank, tmp_path), directory=tmp_path / "waiting")
        waiting.wait_for("Another process migrates this database: waiting for it")
        assert "Running upgrade" not in waiting.stderr
    assert waiting.end().exit_code == 0


@ON_POSTGRESQL
def test_who_waits_holds_no_snapshot_that_an_index_build_would_wait_for(
    blank: Settings, engine: Engine, superuser: Engine, tmp_path: Path
) -> None:
    """`CREATE INDEX CONCURRENTLY` waits for every older snapshot: in the one that is waited for it would never end."""
    migrate.upgrade(blank)
    with engine.begin() as other, superuser.connect() as builder:
        other.execute(text(LOCK))
        waiting = start("migrate", environment=environment_of(blank, tmp_path), directory=tmp_path / "waiting")
        waiting.wait_for("waiting for it")
        builder.execute(text("SET statement_timeout = '5s'"))
        builder.execute(text("CREATE INDEX CONCURRENTLY ix_new ON users (locale)"))
    assert waiting.end().exit_code == 0
