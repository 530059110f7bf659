"""An error as an RFC 9457 response, for the handlers above and the limits beside."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

from opentelemetry import trace
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import LandfallError
from app.messages import Language, fill, negotiate, translate
from app.telemetry.request_ids import request_id

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://landfall.dev/problems/"

_ENCODER = json.JSONEncoder(default=str, separators=(",", ":"))  # json.dumps would make one a call

logger = logging.getLogger(__name__)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a request header; `name` is in lower case, as ASGI servers send them."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def language_of(scope: Scope) -> Language:
    given = header(scope, b"accept-language")
    return negotiate(given.decode("latin-1") if given else None)


def url_path(scope: Scope) -> str:
    """The request's path, percent-encoded: safe in a log line and a valid URI reference."""
    return quote(scope["path"], safe="/:@!$&'()*+,;=~")


def problem_bytes(error: LandfallError, *, language: Language, request_id: str | None, instance: str) -> bytes:
    """The body of the response: the standard members, `request_id`, `errors` where there are any, and the params."""
    members: dict[str, Any] = {
        **error.params,
        "type": TYPE_PREFIX + error.type,
        "title": translate(error.title, language),
        "status": error.status,
        "detail": fill(error.detail, params=error.params, language=language),
        "instance": instance,
        "request_id": request_id,
    }
    if error.errors:
        members["errors"] = [
            {
                **problem.members,
                "loc": list(problem.loc),
                "type": problem.type,
                "message": fill(problem.message, params=problem.params, language=language),
            }
            for problem in error.errors
        ]
    return encode(members)


def encode(members: dict[str, Any]) -> bytes:
    return _ENCODER.encode(members).encode()


def problem_headers(language: Language) -> dict[str, str]:
    return {"Content-Language": language, "Vary": "Accept-Language"}


def problem_response(error: LandfallError, scope: Scope) -> Response:
    """The response to the request of that scope, in its language and with its id; also an ASGI application."""
    language = language_of(scope)
    body = problem_bytes(error, language=language, request_id=request_id.get(), instance=url_path(scope))
    headers = {**problem_headers(language), **error.headers}
    return Response(body, status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


class UnhandledErrors:
    """Turns what no handler took into a 500 problem and logs it once, with its traceback.

    Starlette's own place for this is outside of every middleware, which would then see no response, and it raises the
    error again for the server to log a second time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return
        except Exception as error:
            # Its text may hold anything: it is for the log, which leads back here by the trace id.
            trace.get_current_span().set_attribute("error.type", type(error).__qualname__)
            logger.exception("unhandled error")
            if started:
                raise  # the server cuts the connection: the client must not take half an answer for a whole one
            await problem_response(LandfallError(), scope)(scope, receive, send)
