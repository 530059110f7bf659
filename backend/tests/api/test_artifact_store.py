"""The embedded store's own routes: bytes in and out of the local directory."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.users import create_user
from app.settings import Settings
from tests.support.api import COMMAND_LINE, problem_of
from tests.support.artifacts import DATA, MIB, Depot, announcement, running_depot
from tests.support.conformance import Document
from tests.support.object_store import ObjectStore
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings, store_settings
from tests.support.tools import wait_until

LARGE = 64 * MIB - 1  # the largest that goes up with one request
CHUNK = b"0" * MIB
ALLOWED_GROWTH = 24 * MIB


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    dialect: str = request.param
    return dialect


@pytest.fixture
def depot(settings: Settings, document: Document) -> Iterator[Depot]:
    with running_depot(settings, document) as depot:
        yield depot


@pytest.fixture(scope="module")
def service(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as a process of its own, with an editor."""
    directory = tmp_path_factory.mktemp("service")
    settings = make_settings(directory)
    shutil.copy(migrated_sqlite, settings.database.sqlite_path)
    body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        create_user(session, body, actor=COMMAND_LINE, rounds=4)
    files = {"DATABASE_SQLITE_PATH": settings.database.sqlite_path, "ARTIFACTS_DIRECTORY": settings.artifacts.directory}
    service = Service(directory=directory, environment={name: str(path) for name, path in files.items()})
    try:
        yield service.start()
    finally:
        service.stop()


def announce(service: Service, **members: Any) -> Any:
    with service.client() as client:
        answer = client.post("/api/v1/artifacts", json=announcement(DATA, **members), headers=service.authorization)
    assert answer.status_code == 201, answer.text
    return answer.json()


def peak_memory(service: Service) -> int:
    """The most memory that the process ever had, in bytes."""
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kibibytes) * 1024


def files_of(service: Service) -> list[str]:
    root = service.directory / "artifacts"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != "check")


def large_file() -> Iterator[bytes]:
    for start in range(0, LARGE, MIB):
        yield CHUNK[: LARGE - start]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc, where Linux tells a process's memory")
def test_a_large_file_is_neither_received_nor_sent_from_memory(service: Service) -> None:
    digest = hashlib.sha256()
    for chunk in large_file():
        digest.update(chunk)
    made = announce(service, size_bytes=LARGE, sha256=digest.hexdigest())
    place = f"/api/v1/artifacts/{made['id']}"
    request = made["upload"]["request"]
    before = peak_memory(service)

    with service.client(timeout_seconds=30) as client:
        headers = request["headers"] | {"Content-Length": str(LARGE)}
        assert client.put(request["url"], content=large_file(), headers=headers).status_code == 200
        assert client.post(f"{place}/complete", headers=service.authorization).json()["state"] == "available"
        url = client.get(f"{place}/download", headers=service.authorization).json()["url"]
        with client.stream("GET", url) as answer:
            received = sum(map(len, answer.iter_bytes()))

    assert received == LARGE
    assert peak_memory(service) - before < ALLOWED_GROWTH


@pytest.mark.parametrize("sent", [DATA[:-1], DATA + b"!"], ids=["fewer", "more"])
def test_another_number_of_bytes_than_announced_is_refused_and_leaves_nothing(depot: Depot, sent: bytes) -> None:
    answer = depot.send(depot.announce()["upload"]["request"], sent)

    assert problem_of(answer) == (422, "upload-mismatch")
    assert not [path for path in depot.api.app.state.settings.artifacts.directory.rglob("*") if path.is_file()]


def test_a_client_that_leaves_half_way_leaves_nothing_and_has_held_no_connection(service: Service) -> None:
    before = files_of(service)
    parts = urlsplit(announce(service, size_bytes=2 * MIB)["upload"]["request"]["url"])
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * MIB}\r\n\r\n"

    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + CHUNK)
        wait_until(lambda: len(files_of(service)) > len(before), timeout_seconds=5, what="the first bytes")
        held = service.metric("database_pool_checked_out")

    wait_until(lambda: files_of(service) == before, timeout_seconds=5, what="the end of what had come")
    assert held == 0
    assert not [record for record in service.records if record["level"] in {"WARNING", "ERROR"}]


def test_what_a_browser_would_run_is_only_ever_saved(depot: Depot) -> None:
    page = b"<script>alert(1)</script>"
    made = depot.available(page, file_name="page.html", media_type="text/html")

    answer = depot.send(depot.download(made))

    assert answer.content == page
    assert answer.headers["content-disposition"].startswith('attachment; filename="page.html"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(("wanted", "body"), [("bytes=2-6", DATA[2:7]), ("bytes=-5", DATA[-5:])])
def test_a_download_may_be_resumed(depot: Depot, wanted: str, body: bytes) -> None:
    request = depot.download(depot.available())

    answer = depot.send(request | {"headers": {"Range": wanted}})

    assert (answer.status_code, answer.content) == (206, body)
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_range_beyond_the_end_is_refused_with_the_size(depot: Depot) -> None:
    request = depot.download(depot.available())

    answer = depot.send(request | {"headers": {"Range": "bytes=100-"}})

    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


def test_with_a_bucket_these_routes_do_not_exist(
    settings: Settings, document: Document, moto_store: ObjectStore
) -> None:
    changed = settings.model_copy(update={"artifacts": store_settings(moto_store)})
    with running_depot(changed, document) as depot:
        answer = depot.files.put("/api/v1/artifact-store/artifacts/1", content=DATA)

    assert problem_of(answer) == (404, "no-such-address")
