"""Export jobs and the end of the processes that write them, with real processes and signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.faults.conftest import MakeService
from tests.support.service import Service, prepare
from tests.support.tools import wait_until

ROWS = 10_000  # seconds of work
MAKE_SITES = """
INSERT INTO sites (id, owner_id, external_id, name, kind, properties, geom)
SELECT gen_random_uuid(), users.id, 'S-' || number, 'Well', 'well', '{}',
       ST_Buffer(ST_Point(number % 100, number % 50, 4326), 0.1, 8)
FROM users, generate_series(1, :rows) AS number
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def many_sites(empty_database_url: str, tmp_path: Path) -> str:
    prepare(empty_database_url, tmp_path)
    engine = create_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(MAKE_SITES), {"rows": ROWS})
    return empty_database_url


class Client:
    """Someone who asks one service, then another, on the same database."""

    def __init__(self, service: Service) -> None:
        self._headers = service.authorization

    def ask(self, service: Service) -> str:
        with service.client() as client:
            answer = client.post("/api/v1/sites/exports", json={"format": "geopackage"}, headers=self._headers)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def read(self, service: Service, path: str) -> Any:
        with service.client() as client:
            return client.get(path, headers=self._headers).raise_for_status().json()

    def wait(self, service: Service, path: str, state: str) -> Any:
        wait_until(lambda: self.read(service, path)["state"] == state, timeout_seconds=60, what=f"a job {state}")
        return self.read(service, path)


@pytest.fixture
def start(make_service: MakeService, many_sites: str, tmp_path: Path) -> Any:
    def start() -> Service:
        (temporary := tmp_path / "tmp").mkdir(exist_ok=True)
        return make_service(DATABASE_URL=many_sites, EXPORTS_LEASE_SECONDS="1", TMPDIR=str(temporary)).start()

    return start


def left(directory: Path) -> list[Path]:
    return list((directory / "tmp").glob("landfall-export-*"))


def test_a_killed_process_loses_no_job_and_the_next_one_sweeps_up(start: Any, tmp_path: Path) -> None:
    first: Service = start()
    client = Client(first)
    path = client.ask(first)
    client.wait(first, path, "running")
    wait_until(lambda: left(tmp_path) != [], timeout_seconds=10, what="a file")
    assert first.process is not None
    first.process.kill()
    first.process.wait()
    assert left(tmp_path) != []

    second: Service = start()
    job = client.wait(second, path, "available")

    assert (job["attempts"], job["sites"]) == (2, ROWS)
    with second.client() as http:
        assert len(http.get(job["url"]).content) == job["size_bytes"]
    wait_until(lambda: left(tmp_path) == [], timeout_seconds=10, what="an empty directory")


def test_a_process_that_is_told_to_stop_gives_its_job_back_in_time(start: Any, many_sites: str, tmp_path: Path) -> None:
    first: Service = start()
    client = Client(first)
    path = client.ask(first)
    client.wait(first, path, "running")

    assert first.process is not None
    first.process.terminate()
    first.process.wait(5)
    assert left(tmp_path) == []

    second: Service = start()
    assert client.wait(second, path, "available")["attempts"] == 1
