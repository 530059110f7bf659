"""The limits of one request: how large its body is, how long its answer takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooLargeError, RequestTimeoutError
from app.middleware.access import REFUSED
from app.middleware.problems import header, problem_response

_DISCONNECT: Message = {"type": "http.disconnect"}


class BodyLimit:
    """Answers 413 to a body over `max_bytes`, by its Content-Length or as soon as that many bytes have come."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, exempt: Callable[[str], bool]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt(scope["path"]):
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        size, started, refused = 0, False, False

        async def limited_receive() -> Message:
            nonlocal size, refused
            if refused:
                return _DISCONNECT
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self._max_bytes or started:
                return message
            # To the application this client has left: that ends its reading, whatever way it reads.
            refused = True
            await self._refuse(scope, receive, send)
            return _DISCONNECT

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        await self._app(scope, limited_receive, guarded_send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSED] = "body too large"
        await problem_response(BodyTooLargeError(limit=self._max_bytes), scope)(scope, receive, send)


class Deadline:
    """Answers 503 where no answer has begun in time; what comes later is dropped.

    The work itself is not cancelled: a worker thread cannot be, and a half-cancelled request would give up its session
    while the thread still uses it. So the application returns, and its place is freed, when the work has really ended.
    """

    def __init__(self, app: ASGIApp, *, limit: timedelta, exempt: Callable[[str], bool]) -> None:
        self._app = app
        self._limit_seconds = limit.total_seconds()
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt(scope["path"]):
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        giving_up: asyncio.Task[None] | None = None

        def expire() -> None:
            nonlocal giving_up
            scope[REFUSED] = "deadline"
            response = problem_response(RequestTimeoutError(), scope)
            giving_up = loop.create_task(response(scope, receive, send))

        timer = loop.call_later(self._limit_seconds, expire)

        async def guarded_receive() -> Message:
            return _DISCONNECT if giving_up else await receive()

        async def guarded_send(message: Message) -> None:
            if giving_up is None:
                timer.cancel()
                await send(message)

        try:
            await self._app(scope, guarded_receive, guarded_send)
        finally:
            timer.cancel()
            if giving_up is not None:
                await giving_up
