"""The database or the store goes away under traffic and comes back: killed, or hanging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.faults.conftest import MakeService
from tests.support.freezing import frozen
from tests.support.object_store import ObjectStore
from tests.support.postgres import PostgresServer
from tests.support.service import Service, store_environment
from tests.support.tools import wait_until
from tests.support.traffic import Outcome, Traffic

pytestmark = [pytest.mark.alone, pytest.mark.fault]

REQUEST_TIMEOUT_SECONDS = 1
CLIENTS = 4  # of each kind: more than one request is under way in each, whenever it happens

Server = PostgresServer | ObjectStore
Outage = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def killed(server: Server) -> Iterator[None]:
    server.stop(immediate=True)
    yield
    server.start_again()


def hanging(server: Server) -> AbstractContextManager[None]:
    return frozen(server.runner)


@dataclass(frozen=True)
class Life:
    """What the clients and probes saw, and when the server left and returned."""

    requests: list[Outcome]
    probes: list[Outcome]
    left: float
    noticed_after: float
    returned: float
    ready_after: float

    def during(self) -> list[Outcome]:
        return [outcome for outcome in self.requests if self.left < outcome.began < self.returned]


def live_through(service: Service, server: Server, outage: Outage, sends: list[Callable[..., httpx.Response]]) -> Life:
    """Run traffic before, during and after the outage, until everything is as it was."""
    with (
        service.client() as watcher,
        Traffic(service, [lambda client: client.get("/healthz")]) as probes,
        Traffic(service, sends * CLIENTS) as traffic,
    ):
        wait_until(lambda: len(traffic.outcomes) > 50, timeout_seconds=10, what="traffic")
        left = time.monotonic()
        with outage(server):
            until_ready(watcher, ready=False)
            noticed = time.monotonic()
            wait_until(lambda: len(traffic.since(noticed)) > 20, timeout_seconds=10, what="refusals")
        returned = time.monotonic()
        until_ready(watcher, ready=True)
        ready = time.monotonic()
        wait_until(lambda: has_recovered(traffic), timeout_seconds=5, what="only good answers")
    wait_until(
        lambda: service.metric("database_pool_checked_out") == 0, timeout_seconds=5, what="every connection returned"
    )
    return Life(traffic.outcomes, probes.outcomes, left, noticed - left, returned, ready - returned)


def until_ready(watcher: httpx.Client, *, ready: bool) -> None:
    wanted = (200, True) if ready else (503, False)

    def is_so() -> bool:
        answer = watcher.get("/readyz")
        return (answer.status_code, answer.json().get("ready")) == wanted

    wait_until(is_so, timeout_seconds=10, what=f"/readyz {wanted}")


def has_recovered(traffic: Traffic) -> bool:
    last = traffic.outcomes[-50:]
    return all(outcome.status < 500 for outcome in last)


@pytest.fixture
def service(landfall_url: str, make_service: MakeService, own_checking_store: ObjectStore) -> Service:
    service = make_service(
        DATABASE_URL=landfall_url,
        LISTEN_REQUEST_TIMEOUT_SECONDS=str(REQUEST_TIMEOUT_SECONDS),
        TILES_CACHE_BYTES="0",
        **store_environment(own_checking_store, own_checking_store.make_bucket()),
    ).start()
    service.wait_ready()
    return service


def assert_bounded(life: Life) -> None:
    """What every outage has in common."""
    assert {outcome.status for outcome in life.probes} == {200}
    assert life.noticed_after < 2
    assert life.ready_after < 3
    assert max(outcome.seconds for outcome in life.requests) < REQUEST_TIMEOUT_SECONDS + 0.5
    refused = [outcome for outcome in life.requests if outcome.status >= 500 or outcome.status == 0]
    assert {outcome.status for outcome in refused} == {503}
    assert all(outcome.problem and outcome.retry_after for outcome in refused)


@pytest.mark.parametrize("outage", [killed, hanging])
def test_the_service_outlives_its_database(service: Service, own_postgres: PostgresServer, outage: Outage) -> None:
    headers = service.authorization

    def read(client: httpx.Client) -> httpx.Response:
        return client.get("/api/v1/tasks", params={"limit": 5}, headers=headers)

    def draw(client: httpx.Client) -> httpx.Response:
        return client.get("/tiles/sites/3/4/2.mvt", headers=headers)

    def write(client: httpx.Client) -> httpx.Response:
        return client.post("/api/v1/tasks", json={"title": "Written"}, headers=headers)

    life = live_through(service, own_postgres, outage, [read, write, draw])
    assert_bounded(life)
    assert {outcome.problem for outcome in life.during()} >= {"database-unavailable" if outage is killed else "timeout"}


@pytest.mark.parametrize("outage", [killed, hanging])
def test_the_service_outlives_its_store(service: Service, own_checking_store: ObjectStore, outage: Outage) -> None:
    headers = service.authorization
    announced = {"file_name": "plan.txt", "media_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
    with service.client() as client:
        made = client.post("/api/v1/artifacts", json=announced, headers=headers)
    completion = f"/api/v1/artifacts/{made.json()['id']}/complete"

    def complete(client: httpx.Client) -> httpx.Response:
        return client.post(completion, headers=headers)

    life = live_through(service, own_checking_store, outage, [complete])
    assert_bounded(life)
    assert {outcome.status for outcome in life.requests} == {409, 503}
