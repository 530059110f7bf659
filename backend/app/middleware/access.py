"""Request ids, the access log and the request metrics."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextvars import Context
from time import perf_counter

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.problems import header, url_path
from app.telemetry.metrics import Metrics
from app.telemetry.request_ids import HEADER, choose_request_id, request_id

REFUSED = "landfall.refused"  # scope key: which limit refused the request
SHED = frozenset({"queue full", "wait over"})  # refusals that come in floods

CLIENT_GONE = 499  # nginx's status for a client that left before it had an answer
_REPORT_SECONDS = 1.0

logger = logging.getLogger(__name__)


class RequestIds:
    """Sets the request id for everything below, and returns it in `X-Request-ID`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        chosen = choose_request_id(header(scope, HEADER))
        encoded = chosen.encode()

        async def marked_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, encoded)]
            await send(message)

        token = request_id.set(chosen)
        try:
            await self._app(scope, receive, marked_send)
        finally:
            request_id.reset(token)


def route_template(scope: Scope) -> str:
    """The template of the route that took the request, such as `/api/v1/sites/{id}`; "unmatched" where none did."""
    # FastAPI keeps a router's own routes as they are and the prefixes that lead to them apart, in this context.
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is not None:
        return str(included.path_format)
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "unmatched"


class Access:
    """Counts and logs each request when its last byte has gone out, or when it ends without an answer.

    Refusals by overload are counted like all, but logged as one line a second: a line each would cost more than they.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._shed: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        status, size, finished = CLIENT_GONE, 0, False

        def finish() -> None:
            nonlocal finished
            if not finished:
                finished = True
                self._record(scope, status=status, size=size, seconds=perf_counter() - started)

        async def counted_send(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    finish()

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, counted_send)
        finally:
            self._metrics.in_flight.dec()
            finish()

    def _record(self, scope: Scope, *, status: int, size: int, seconds: float) -> None:
        method, route, refused = scope["method"], route_template(scope), scope.get(REFUSED)
        self._metrics.observe(method, route=route, status=status, seconds=seconds)
        if refused:
            self._metrics.count_refusal(refused)
        if refused in SHED:
            self._shed_one(refused)
        elif logger.isEnabledFor(logging.INFO):
            path = url_path(scope)
            details = {
                "method": method,
                "route": route,
                "path": path,
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
                "client": scope.get("state", {}).get("client_address"),
                "bytes": size,
            }
            logger.info("%s %s %s", method, path, status, extra=details)

    def _shed_one(self, reason: str) -> None:
        if not self._shed:
            # An empty context, or the line would bear the id of whichever request came first.
            asyncio.get_running_loop().call_later(_REPORT_SECONDS, self._report, context=Context())
        self._shed[reason] += 1

    def _report(self) -> None:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self._shed.items())
        logger.warning("refused %d requests: %s", self._shed.total(), reasons)
        self._shed.clear()
