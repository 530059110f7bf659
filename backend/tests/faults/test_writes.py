"""A thousand writes with Idempotency-Keys and retries, and a PostgreSQL that dies in the middle of them."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.faults.conftest import MakeService
from tests.support.postgres import PostgresServer
from tests.support.service import Service
from tests.support.tools import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.slow]

WRITES = 1_000
CLIENTS = 8
CRASHES = 3
FIRST_PAUSE_SECONDS = 0.05


class Writer:
    """A well-behaved client: one key a task, and the same request again until it is acknowledged.

    Of each ten first answers one is lost on its way, so that every run repeats requests that were carried out.
    """

    def __init__(self, client: httpx.Client, headers: dict[str, str]) -> None:
        self._client = client
        self._headers = headers
        self.acknowledged: dict[str, str] = {}
        self.refused = 0

    def write(self, number: int) -> None:
        key = str(uuid.uuid4())
        never = threading.Event()
        pause = FIRST_PAUSE_SECONDS
        answer = self._try(number, key)
        if number % 10 == 0:
            answer = None
        while answer is None:
            never.wait(pause)
            pause = min(2 * pause, 1)
            answer = self._try(number, key)
        assert answer.status_code == 201, answer.text
        self.acknowledged[f"Task {number}"] = answer.json()["id"]

    def _try(self, number: int, key: str) -> httpx.Response | None:
        headers = {"Idempotency-Key": key, **self._headers}
        try:
            answer = self._client.post("/api/v1/tasks", json={"title": f"Task {number}"}, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code != 503:
            return answer
        self.refused += 1
        return None


def stored(service: Service) -> list[tuple[str, str]]:
    """Title and id of every task, by walking the pages."""
    found: list[tuple[str, str]] = []
    following: str | None = "/api/v1/tasks?limit=300&sort=created_at"
    with service.client() as client:
        while following:
            page = client.get(following, headers=service.authorization).json()
            found += [(task["title"], task["id"]) for task in page["items"]]
            following = page["next"]
    return found


def test_every_acknowledged_write_is_there_exactly_once(
    landfall_url: str, own_postgres: PostgresServer, make_service: MakeService
) -> None:
    service = make_service(DATABASE_URL=landfall_url).start()
    with service.client() as client, ThreadPoolExecutor(CLIENTS) as pool:
        writer = Writer(client, service.authorization)
        writes = [pool.submit(writer.write, number) for number in range(WRITES)]
        for crash in range(1, CRASHES + 1):
            many = crash * WRITES // (CRASHES + 1)
            wait_until(partial(has_written, writer, many), timeout_seconds=60, what=f"{many} writes")
            refused = writer.refused
            own_postgres.stop(immediate=True)
            wait_until(partial(was_refused_since, writer, refused), timeout_seconds=10, what="a refusal")
            own_postgres.start_again()
        for write in writes:
            write.result()
    assert sorted(stored(service)) == sorted(writer.acknowledged.items())


def has_written(writer: Writer, many: int) -> bool:
    return len(writer.acknowledged) >= many


def was_refused_since(writer: Writer, before: int) -> bool:
    return writer.refused > before
