"""The whole service as its own process, on servers that a test may kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.service import Service, prepare

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
