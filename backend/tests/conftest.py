"""Servers are found once a run; every test starts from an empty, migrated database."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.main import create_app
from app.settings import Settings
from tests.support import workers
from tests.support.database import empty_all_tables
from tests.support.leaks import SecretLeaks
from tests.support.object_store import ObjectStore, find_checking_store, start_moto
from tests.support.postgres import PostgresServer, find_postgres
from tests.support.settings import make_settings
from tests.support.tools import MissingToolError

Server = TypeVar("Server")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SecretLeaks())
    config.pluginmanager.register(workers)


def required(find: Callable[[], Server]) -> Server:
    """What `find` gives; without it the test is skipped by the name of what is missing, and in CI it fails."""
    try:
        return find()
    except MissingToolError as error:
        missing = str(error)
    if os.environ.get("CI"):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with PostGIS, shared by the run: leave it up."""
    server = required(find_postgres)
    yield server
    server.remove()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with PostGIS of the test's own, to stop and start."""
    server = required(lambda: find_postgres(stoppable=True))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def database_url(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database at head, shared by the run; its tables hold what the last test left (see `empty_database_url`)."""
    name = f"landfall_{uuid.uuid4().hex[:8]}"
    url = postgres.create_database(name)
    migrate.upgrade(make_settings(tmp_path_factory.mktemp("migrated"), database_url=url))
    yield url
    postgres.drop_database(name)


@pytest.fixture
def empty_database_url(database_url: str) -> str:
    """A database at head with no rows, for this test."""
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
    with engine.begin() as connection:
        empty_all_tables(connection)
    return database_url


@pytest.fixture
def new_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own with nothing in it, not even PostGIS: for migrations."""
    name = f"landfall_{uuid.uuid4().hex[:8]}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at head, to be copied."""
    settings = make_settings(tmp_path_factory.mktemp("migrated"))
    migrate.upgrade(settings)
    return settings.database.sqlite_path


@pytest.fixture(params=["postgresql", "sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    """A test that needs a database runs on both; `parametrize("dialect", ["postgresql"], indirect=True)` picks one."""
    name: str = request.param
    return name


@pytest.fixture
def settings(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings on an empty database at head of the test's dialect, with a local directory for artifacts."""
    if dialect == "postgresql":
        return make_settings(tmp_path, database_url=request.getfixturevalue("empty_database_url"))
    settings = make_settings(tmp_path)
    shutil.copy(request.getfixturevalue("migrated_sqlite"), settings.database.sqlite_path)
    return settings


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    """A session whose commits are savepoints of a transaction that is rolled back when the test ends."""
    with DatabaseSessionManager(settings.database) as manager, manager.engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        transaction.rollback()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The application over HTTP in this process, started and stopped around the test."""
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="session")
def moto_store() -> Iterator[ObjectStore]:
    """An S3 server that believes every checksum and signature; shared by the run: leave it up."""
    store = start_moto()
    yield store
    store.remove()


@pytest.fixture(scope="session")
def checking_store() -> Iterator[ObjectStore]:
    """An S3 server that refuses corrupt uploads and forged signatures; shared by the run: leave it up."""
    store = required(find_checking_store)
    yield store
    store.remove()


@pytest.fixture
def own_checking_store() -> Iterator[ObjectStore]:
    """Such a server of the test's own, to stop and start."""
    store = required(lambda: find_checking_store(stoppable=True))
    yield store
    store.remove()
