"""A large export to slow, stalled and unlucky clients: connections stay free, and half a file never looks whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine, text

from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.users import create_user
from tests.support.api import COMMAND_LINE
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings
from tests.support.tools import wait_until

ROWS = 20_000  # some 20 MB: far more than the sockets' buffers hold
MAKE_SITES = """
INSERT INTO sites (id, owner_id, external_id, name, kind, properties, geom)
SELECT gen_random_uuid(), users.id, 'S-' || number, repeat('x', 200), 'well', '{}',
       ST_Buffer(ST_Point(number % 100, number % 50, 4326), 0.1, 8)
FROM users, generate_series(1, :rows) AS number
"""
Serve = Callable[..., Service]


@pytest.fixture
def execute(empty_database_url: str) -> Callable[[str], None]:
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)

    def execute(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement), {"rows": ROWS} if ":rows" in statement else {})

    return execute


@pytest.fixture
def serve(empty_database_url: str, execute: Callable[[str], None], tmp_path: Path) -> Iterator[Serve]:
    """The service on many sites."""
    services: list[Service] = []

    def serve(**environment: str) -> Service:
        service = Service(directory=tmp_path, environment={"DATABASE_URL": empty_database_url, **environment})
        services.append(service.start())
        settings = make_settings(tmp_path, database_url=empty_database_url)
        with DatabaseSessionManager(settings.database) as database, database.session() as session:
            body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.VIEWER)
            create_user(session, body, actor=COMMAND_LINE, rounds=4)
        execute(MAKE_SITES)
        return service

    yield serve
    for service in services:
        service.stop()


def stalled(client: httpx.Client, service: Service) -> tuple[httpx.Response, Iterator[bytes]]:
    """An export whose first bytes were read, and the rest of it."""
    request = client.build_request(
        "GET", "/api/v1/sites/export", headers={**service.authorization, "Accept-Encoding": "identity"}
    )
    answer = client.send(request, stream=True)
    assert answer.status_code == 200
    rest = answer.iter_raw()
    assert next(rest).startswith(b'{"type":"FeatureCollection"')
    return answer, rest


def test_no_connection_is_held_while_a_client_reads_slowly(serve: Serve) -> None:
    service = serve()
    with service.client(timeout_seconds=60) as client:
        answer, rest = stalled(client, service)
        wait_until(
            lambda: service.metric("database_pool_checked_out") == 0,
            timeout_seconds=20,
            what="connections that are all free",
        )
        assert service.metric("http_requests_in_flight") == 2  # the export, and this question
        assert b"".join(rest).count(b'{"type":"Feature",') >= ROWS - 100
        answer.close()


def test_an_export_that_fails_half_way_is_cut(serve: Serve, execute: Callable[[str], None]) -> None:
    service = serve()
    with service.client(timeout_seconds=60) as client:
        _, rest = stalled(client, service)
        execute("ALTER TABLE sites RENAME TO gone")
        try:
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                b"".join(rest)
        finally:
            execute("ALTER TABLE gone RENAME TO sites")
    assert "does not exist" in service.log


def test_a_client_that_stalls_is_cut(serve: Serve) -> None:
    service = serve(LISTEN_REQUEST_TIMEOUT_SECONDS="1")
    with service.client(timeout_seconds=60) as client:
        _, rest = stalled(client, service)
        wait_until(lambda: bool(service.messages("The answer was cut")), timeout_seconds=30, what="a cut")
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(rest)
