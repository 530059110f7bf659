"""Traces by OpenTelemetry, exported over OTLP/HTTP where an endpoint is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.trace import SpanKind, StatusCode, Tracer
from sqlalchemy import Connection, Engine, ExceptionContext, event

from app.settings import Settings

# Probes would drown the rest; the local store's URLs carry signatures, which spans would keep.
_NOT_TRACED = r"/healthz$,/readyz$,/metrics$,/api/v1/artifact-store/"
_EXPORT_TIMEOUT_SECONDS = 5
_SPAN = "landfall.span"  # key in a connection's info: the span of the statement that it runs


def instrument(app: Any, *, engines: Iterable[Engine], settings: Settings) -> Callable[[], None]:
    """Trace the requests of a FastAPI application and the queries of its engines; call it before the first request.

    Returns what to call at shutdown: it sends what is left, for a few seconds at most. Statements are recorded without
    their parameters. Without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is imported and nothing happens.
    """
    endpoint = settings.otel.exporter_otlp_endpoint
    if endpoint is None:
        return lambda: None

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_SECONDS)
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: settings.otel.service_name}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=_NOT_TRACED, exclude_spans=["receive", "send"]
    )
    for engine in engines:
        _trace_queries(engine, provider.get_tracer(__name__))
    return provider.shutdown


def _trace_queries(engine: Engine, tracer: Tracer) -> None:
    """A span a statement; OpenTelemetry's own instrumentation does not take SQLAlchemy 2.1."""

    def begin(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        operation = statement.lstrip().partition(" ")[0].upper()
        attributes = {"db.system.name": engine.dialect.name, "db.operation.name": operation, "db.query.text": statement}
        connection.info[_SPAN] = tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes)

    def end(connection: Connection, *_: Any) -> None:
        connection.info.pop(_SPAN).end()

    def fail(context: ExceptionContext) -> None:
        span = context.connection.info.pop(_SPAN, None) if context.connection else None
        if span is not None:
            # Only the error's kind: its text quotes rows.
            span.set_attribute("error.type", type(context.original_exception).__qualname__)
            span.set_status(StatusCode.ERROR)
            span.end()

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)
