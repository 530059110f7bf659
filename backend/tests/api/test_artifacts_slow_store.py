"""A store that is slow, away or misconfigured: nothing else waits for it, and people learn what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import QueuePool

from app.settings import ArtifactSettings, Settings
from tests.support.api import problem_of
from tests.support.artifacts import DATA, THREE_PARTS, Depot, running_depot, with_artifacts, with_small_parts
from tests.support.conformance import Document
from tests.support.gate import Gate, gate_before
from tests.support.object_store import ObjectStore
from tests.support.secrets import S3_SECRET_KEY
from tests.support.settings import store_settings
from tests.support.tools import free_port, wait_until


@pytest.fixture(params=["postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    dialect: str = request.param
    return dialect


@pytest.fixture
def gate(moto_store: ObjectStore) -> Iterator[Gate]:
    with gate_before(moto_store.endpoint_url) as gate:
        yield gate


@pytest.fixture
def depot(settings: Settings, document: Document, moto_store: ObjectStore, gate: Gate) -> Iterator[Depot]:
    """One database connection for many requests, and the store behind the gate."""
    changes = {
        "database": settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0}),
        "admission": settings.admission.model_copy(update={"in_flight": 4}),
        "artifacts": store_settings(moto_store).model_copy(update={"endpoint_url": gate.url}),
    }
    with running_depot(with_small_parts(settings.model_copy(update=changes)), document) as depot:
        yield depot


def checked_out(depot: Depot) -> int:
    pool = depot.api.app.state.database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def list_parts(depot: Depot, made: Any) -> Response:
    return depot.api.editor.get(f"/artifacts/{made['id']}/parts")


def ask_for_part(depot: Depot, made: Any) -> Response:
    return depot.parts(made, {1: DATA})


def announced(depot: Depot) -> Any:
    return depot.announce(THREE_PARTS)


def begun(depot: Depot) -> Any:
    made = depot.announce(THREE_PARTS)
    ask_for_part(depot, made)
    return made


@pytest.mark.parametrize(
    ("prepare", "ask"),
    [
        (Depot.announce_and_send, Depot.complete),
        (Depot.announce_and_send, Depot.abort),
        (Depot.available, Depot.delete),
        (announced, ask_for_part),
        (begun, list_parts),
    ],
    ids=["complete", "abort", "delete", "first part", "parts"],
)
def test_no_request_holds_a_database_connection_while_the_store_is_asked(
    depot: Depot, gate: Gate, prepare: Callable[[Depot], Any], ask: Callable[[Depot, Any], Response]
) -> None:
    made = prepare(depot)

    with ThreadPoolExecutor(1) as pool:
        with gate.closed():
            asking = pool.submit(ask, depot, made)
            assert gate.holding.wait(5)
            wait_until(lambda: checked_out(depot) == 0, timeout_seconds=1, what="the connection's return")
            others = [depot.api.viewer.get("/artifacts").status_code for _ in range(5)]
            assert not asking.done()
        assert asking.result().is_success

    assert others == [200] * 5


def test_requests_go_on_while_more_uploads_are_verified_than_threads_are_there(depot: Depot, gate: Gate) -> None:
    made = [depot.announce_and_send() for _ in range(40)]

    with gate.closed("GET"):
        states = {depot.complete(one).json()["state"] for one in made}
        assert gate.holding.wait(5)
        others = [depot.api.viewer.get("/artifacts").status_code for _ in range(5)]

    assert (states, others) == ({"verifying"}, [200] * 5)
    for one in made:
        assert depot.ended(one)["state"] == "available"


def test_completing_while_it_is_verified_does_not_read_it_again(depot: Depot, gate: Gate) -> None:
    made = depot.announce_and_send()
    with gate.closed("GET"):
        again = [depot.complete(made) for _ in range(5)]

    depot.ended(made)

    assert {(answer.status_code, answer.json()["state"]) for answer in again} == {(202, "verifying")}
    events = depot.api.admin.listed("/audit-events", subject_id=made["id"], action="artifact.complete")
    assert len(events) == 1
    assert gate.count("GET") == 1


def nothing_there(settings: ArtifactSettings) -> ArtifactSettings:
    return settings.model_copy(update={"endpoint_url": f"http://127.0.0.1:{free_port()}"})


def another_bucket(settings: ArtifactSettings) -> ArtifactSettings:
    return settings.model_copy(update={"bucket": "nowhere"})


def another_secret(settings: ArtifactSettings) -> ArtifactSettings:
    return settings.model_copy(update={"secret_key": SecretStr(S3_SECRET_KEY[::-1])})


def another_key(settings: ArtifactSettings) -> ArtifactSettings:
    return settings.model_copy(update={"access_key": "somebody"})


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        (nothing_there, "no answer (EndpointConnectionError)"),
        (another_bucket, "the bucket does not exist"),
        (another_secret, "the secret key is wrong"),
        (another_key, "the access key is unknown"),
    ],
)
def test_a_misconfigured_store_is_explained_to_operators_and_not_to_clients(
    settings: Settings,
    document: Document,
    checking_store: ObjectStore,
    caplog: pytest.LogCaptureFixture,
    mistake: Callable[[ArtifactSettings], ArtifactSettings],
    cause: str,
) -> None:
    artifacts = mistake(store_settings(checking_store))
    where = f"s3 bucket {artifacts.bucket} at {artifacts.endpoint_url}: {cause}"
    with running_depot(settings.model_copy(update={"artifacts": artifacts}), document) as depot:
        made = depot.announce(DATA)
        ready = depot.api.client.get("/readyz")
        deleted = depot.delete(made)

    assert ready.status_code == 503
    assert ready.json()["checks"]["storage"]["detail"] == where
    assert problem_of(deleted) == (503, "storage-unavailable")
    assert str(artifacts.bucket) not in deleted.text
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"storage is not ready: {where}" in warnings
    assert f"storage-unavailable: {where}" in warnings
    assert S3_SECRET_KEY[::-1] not in caplog.text


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_local_directory_that_cannot_be_used_is_explained(
    settings: Settings, document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    settings.artifacts.directory.write_text("")
    with running_depot(with_artifacts(settings), document) as depot:
        ready = depot.api.client.get("/readyz")

    assert ready.json()["checks"]["storage"]["detail"] == f"directory {settings.artifacts.directory}: Not a directory"
    assert "Not a directory" in caplog.text
