"""The whole service as its own process, on servers that a test may kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from tests.support.postgres import PostgresServer
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    """Builds a service from its variables: `make_service(DATABASE_URL=…)`; it is stopped when the test ends."""
    made: list[Service] = []

    def make(**environment: str) -> Service:
        service = Service(directory=tmp_path, environment=environment)
        made.append(service)
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture
def landfall_url(own_postgres: PostgresServer, tmp_path: Path) -> str:
    """A database at head with an editor, on a server that may be stopped."""
    url = own_postgres.create_database("landfall")
    prepare(url, tmp_path)
    return url


def prepare(url: str, directory: Path) -> None:
    settings = make_settings(directory, database_url=url)
    migrate.upgrade(settings)
    body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        create_user(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=4)
