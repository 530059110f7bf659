"""A large export to slow, stalled and unlucky clients: connections stay free, and half a file never looks whole."""

from __future__ import annotations

import os
import signal
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
from tests.support.database import empty_all_tables
from tests.support.processes import table_writers
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings
from tests.support.tools import wait_until

ROWS = 20_000  # some 20 MB: far more than the sockets' buffers hold
MAKE_SITES = """
INSERT INTO sites (id, owner_id, external_id, name, kind, properties, geom)
SELECT gen_random_uuid(), users.id, 'S-' || number, repeat('x', 200), 'well', '{}',
       ST_Buffer(ST_Point(number % 100 + random(), number % 50, 4326), 0.1, 8)
FROM users, generate_series(1, :rows) AS number
"""
Execute = Callable[[str], None]


@pytest.fixture(scope="module")
def execute(database_url: str) -> Execute:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)

    def execute(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement), {"rows": ROWS} if ":rows" in statement else {})

    with engine.begin() as connection:
        empty_all_tables(connection)
    return execute


@pytest.fixture(scope="module")
def many_sites(database_url: str, execute: Execute, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that no test here changes for good."""
    settings = make_settings(tmp_path_factory.mktemp("filled"), database_url=database_url)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.VIEWER)
        create_user(session, body, actor=COMMAND_LINE, rounds=4)
    execute(MAKE_SITES)
    return database_url


@pytest.fixture(scope="module")
def service(many_sites: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(directory=tmp_path_factory.mktemp("service"), environment={"DATABASE_URL": many_sites})
    yield service.start()
    service.stop()


def stalled(client: httpx.Client, service: Service, form: str = "geojson") -> tuple[httpx.Response, Iterator[bytes]]:
    """An export whose first bytes were read, and the rest of it."""
    request = client.build_request(
        "GET",
        "/api/v1/sites/export",
        params={"format": form},
        headers={**service.authorization, "Accept-Encoding": "identity"},
    )
    answer = client.send(request, stream=True)
    assert answer.status_code == 200
    rest = answer.iter_raw()
    assert next(rest).startswith({"geojson": b'{"type":"FeatureCollection"', "geoparquet": b"PAR1"}[form])
    return answer, rest


def test_no_connection_is_held_while_a_client_reads_slowly(service: Service) -> None:
    with service.client(timeout_seconds=60) as client:
        answer, rest = stalled(client, service)
        wait_until(
            lambda: service.metric("database_pool_checked_out") == 0,
            timeout_seconds=20,
            what="connections that are all free",
        )
        wait_until(
            lambda: service.metric("http_requests_in_flight") == 2,  # the export, and this question
            timeout_seconds=20,
            what="the ends of other tests' requests",
        )
        assert b"".join(rest).count(b'{"type":"Feature",') >= ROWS - 100
        answer.close()


def test_an_export_that_fails_half_way_is_cut(service: Service, execute: Execute) -> None:
    with service.client(timeout_seconds=60) as client:
        _, rest = stalled(client, service)
        execute("ALTER TABLE sites RENAME TO gone")
        try:
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                b"".join(rest)
        finally:
            execute("ALTER TABLE gone RENAME TO sites")
    assert "does not exist" in service.log


@pytest.mark.parametrize("form", ["geojson", "geoparquet"])
def test_a_client_that_stalls_is_cut_and_leaves_nothing(many_sites: str, tmp_path: Path, form: str) -> None:
    impatient = {"DATABASE_URL": many_sites, "LISTEN_REQUEST_TIMEOUT_SECONDS": "1"}
    service = Service(directory=tmp_path, environment=impatient).start()
    try:
        with service.client(timeout_seconds=60) as client:
            _, rest = stalled(client, service, form)
            assert len(writers(service)) == (form == "geoparquet")
            wait_until(lambda: bool(service.messages("The answer was cut")), timeout_seconds=30, what="a cut")
            wait_until(lambda: not writers(service), timeout_seconds=5, what="the end of its process")
            with pytest.raises(httpx.RemoteProtocolError):
                b"".join(rest)
    finally:
        service.stop()


def writers(service: Service) -> set[int]:
    assert service.process is not None
    return table_writers(service.process.pid)


def test_geoparquet_whose_process_is_killed_is_cut(service: Service) -> None:
    with service.client(timeout_seconds=60) as client:
        _, rest = stalled(client, service, "geoparquet")
        (writer,) = writers(service)
        os.kill(writer, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            b"".join(rest)
    assert "ended by signal 9" in service.log


def test_a_third_geoparquet_at_once_is_refused_until_one_ends(service: Service) -> None:
    with service.client(timeout_seconds=60) as client:
        first, _ = stalled(client, service, "geoparquet")
        second, _ = stalled(client, service, "geoparquet")
        refused = client.get(
            "/api/v1/sites/export", params={"format": "geoparquet"}, headers=dict(service.authorization)
        )
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        first.close()
        wait_until(
            lambda: service.metric("http_requests_in_flight") == 2,  # the second, and this question
            timeout_seconds=20,
            what="the end of the first",
        )
        assert len(writers(service)) == 1
        third, _ = stalled(client, service, "geoparquet")
        third.close()
        second.close()
    wait_until(lambda: not writers(service), timeout_seconds=20, what="the end of all")


def test_a_client_that_leaves_takes_the_process_of_its_geoparquet_along(service: Service) -> None:
    with service.client(timeout_seconds=60) as client:
        answer, _ = stalled(client, service, "geoparquet")
        assert len(writers(service)) == 1
        answer.close()
    wait_until(lambda: writers(service) == set(), timeout_seconds=20, what="its end")
