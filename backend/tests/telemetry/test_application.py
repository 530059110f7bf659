"""Logs, metrics and traces of the whole application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.main import create_app
from app.settings import Environment, LogSettings, OtelSettings, Settings
from app.telemetry.logs import configure_logging
from tests.support.collector import Collector
from tests.support.secrets import USER_PASSWORD

ON_SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
FORM = {"username": "no-one@example.com", "password": USER_PASSWORD}
Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    """The service's log lines since the last look, each of which must be JSON."""

    def lines() -> list[dict[str, Any]]:
        parsed = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [line for line in parsed if line["logger"] != "httpx2"]  # the test's client, outside of any request

    return lines


def logging_client(settings: Settings, **changes: Any) -> TestClient:
    changed = settings.model_copy(update={"log": LogSettings(level="DEBUG", format="json"), **changes})
    configure_logging(changed)
    return TestClient(create_app(changed))


@contextmanager
def alone(client: TestClient) -> Iterator[TestClient]:
    """Without the application's start, and so without what goes on behind the requests, which logs its statements."""
    yield client
    cast("FastAPI", client.app).state.database.dispose()


def test_every_line_of_a_request_bears_its_id_those_of_worker_threads_too(settings: Settings, written: Written) -> None:
    with alone(logging_client(settings)) as client:
        client.post("/api/v1/auth/token", data=FORM, headers={"X-Request-ID": "mine"})
        lines = written()
    assert {"sqlalchemy.engine.Engine", "app.middleware.access"} <= {line["logger"] for line in lines}
    assert [line for line in lines if line.get("request_id") != "mine"] == []


def test_two_requests_on_one_thread_do_not_share_an_id(settings: Settings, written: Written) -> None:
    with alone(logging_client(settings)) as client:
        for name in ("first", "second"):
            client.post("/api/v1/auth/token", data=FORM, headers={"X-Request-ID": name})
            assert {line.get("request_id") for line in written()} == {name}


@pytest.mark.parametrize(
    ("environment", "shown"),
    [(Environment.DEVELOPMENT, True), (Environment.TEST, False), (Environment.PRODUCTION, False)],
)
def test_sql_is_logged_with_its_parameters_in_development_alone(
    settings: Settings, written: Written, environment: Environment, *, shown: bool
) -> None:
    with logging_client(settings, environment=environment) as client:
        client.post("/api/v1/auth/token", data=FORM)
        sql = [line["message"] for line in written() if line["logger"].startswith("sqlalchemy")]
    assert any("INSERT INTO login_attempts" in line for line in sql)
    assert any("no-one@example.com" in line for line in sql) is shown


def series(client: TestClient) -> set[str]:
    """The names and labels of all time series."""
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


@ON_SQLITE
@limits(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    method=st.text(st.characters(codec="ascii", categories=["Lu"]), min_size=1, max_size=12),
)
def test_no_path_and_no_method_adds_a_time_series(client: TestClient, path: str, method: str) -> None:
    for first in ("/api/v1/nothing", "/api/v1/tasks/nothing"):
        client.request("INVENTED", first)
        client.get(first)
    series(client)  # the first look adds its own
    before = series(client)
    client.request(method if method in {"GET", "INVENTED"} else f"X{method}", f"/{path}")
    client.get(f"/api/v1/tasks/{path}")
    assert series(client) == before


def test_the_pools_gauges_stand_in_the_metrics(client: TestClient) -> None:
    assert {"database_pool_size", "database_pool_checked_out", "database_pool_overflow"} <= series(client)


def test_a_request_and_its_queries_are_one_trace(settings: Settings, collector: Collector) -> None:
    otel = OtelSettings(exporter_otlp_endpoint=f"http://127.0.0.1:{collector.server_port}")
    with TestClient(create_app(settings.model_copy(update={"otel": otel}))) as client:
        client.post("/api/v1/auth/token", data=FORM)
    (request,) = [span for span in collector.spans if span.name == "POST /api/v1/auth/token"]
    own = [span for span in collector.spans if span.trace_id == request.trace_id]
    assert {"INSERT", "SELECT"} <= {span.name for span in own}
    assert "no-one@example.com" not in str(collector.spans)
