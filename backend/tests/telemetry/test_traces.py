"""Traces, as a collector receives them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from app.settings import OtelSettings
from app.telemetry.logs import JsonFormatter
from app.telemetry.traces import instrument
from tests.support.collector import Collector
from tests.support.settings import make_settings


def test_requests_and_queries_reach_the_collector_without_parameters_and_tie_to_the_log(
    collector: Collector, tmp_path: Path
) -> None:
    app, router = FastAPI(), APIRouter()
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite3")
    logged: list[str] = []

    @router.get("/things/{name}")
    def thing(name: str) -> str:
        with engine.connect() as connection:
            connection.execute(text("SELECT :word"), {"word": "tell-no-one"})
            with pytest.raises(OperationalError):
                connection.execute(text("UPDATE nothing SET word = :word"), {"word": "tell-no-one"})
        logged.append(JsonFormatter().format(logging.makeLogRecord({"msg": "at work"})))
        return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)

    app.include_router(router, prefix="/api")
    otel = OtelSettings(exporter_otlp_endpoint=f"http://127.0.0.1:{collector.server_port}")
    shutdown = instrument(app, engines=[engine], settings=make_settings(tmp_path).model_copy(update={"otel": otel}))
    with TestClient(app) as client:
        trace_id = client.get("/api/things/a").json()
        client.get("/healthz")
    shutdown()
    engine.dispose()

    assert f'"trace_id": "{trace_id}"' in logged[0]
    names = [span.name for span in collector.spans]
    assert "GET /api/things/{name}" in names
    assert {"SELECT", "UPDATE"} <= set(names)
    assert [span.name for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR] == ["UPDATE"]
    assert not any("healthz" in name for name in names)
    assert {span.trace_id.hex() for span in collector.spans} == {trace_id}
    assert "tell-no-one" not in str(collector.spans)


def test_without_an_endpoint_nothing_is_instrumented(tmp_path: Path) -> None:
    app = FastAPI()
    instrument(app, engines=[create_engine("sqlite://")], settings=make_settings(tmp_path))()
    assert not hasattr(app, "_is_instrumented_by_opentelemetry")
