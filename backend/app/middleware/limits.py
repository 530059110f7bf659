"""The limits of one request: how large its body is, how long that and the answer take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooLargeError, RequestTimeoutError
from app.middleware.access import REFUSED
from app.middleware.problems import header, problem_response

logger = logging.getLogger(__name__)

_DISCONNECT: Message = {"type": "http.disconnect"}


class BodyLimit:
    """Reads the body before anything below begins; answers 413 beyond `max_bytes`, and 503 after `timeout`.

    Whoever sends slowly thus waits on its own: it has no place at work, no deadline runs for it, and what is below gets
    its body in one piece.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout: timedelta, exempt: Callable[[Scope], bool]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout.total_seconds()
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt(scope):
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        if announced == b"0" or (announced is None and header(scope, b"transfer-encoding") is None):
            await self._app(scope, receive, send)
            return
        if announced is not None and announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse_size(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                body = await self._read(receive)
        except TimeoutError:
            await _refuse_slowness(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            if body is None:
                await self._refuse_size(scope, receive, send)
            else:
                await self._app(scope, _hand_on(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None as soon as it is too large. Raises `ClientDisconnect` when the client leaves."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                return None
            if not message.get("more_body", False):
                return bytes(body)

    async def _refuse_size(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSED] = "body too large"
        await problem_response(BodyTooLargeError(limit=self._max_bytes), scope)(scope, receive, send)


async def _refuse_slowness(scope: Scope, receive: Receive, send: Send) -> None:
    scope[REFUSED] = "body timeout"
    response = problem_response(RequestTimeoutError(), scope)
    response.headers["Connection"] = "close"  # or the rest of the body would be waited for
    await response(scope, receive, send)


def _hand_on(body: bytes, receive: Receive) -> Receive:
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying_receive() -> Message:
        return unread.pop() if unread else await receive()

    return replaying_receive


class Deadline:
    """Answers 503 where no answer has begun in time; what comes later is dropped.

    An answer that has begun may take as long as it needs, but is cut where the client reads none of it for the limit.

    The work itself is not cancelled: a worker thread cannot be, a half-cancelled request would give up its session
    while the thread still uses it, and a read that the event loop waits for would lose its connection. So the
    application returns, and its place is freed, when the work has really ended.
    """

    def __init__(self, app: ASGIApp, *, limit: timedelta, exempt: Callable[[Scope], bool]) -> None:
        self._app = app
        self._limit_seconds = limit.total_seconds()
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt(scope):
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send, limit_seconds=self._limit_seconds)
        try:
            await self._app(scope, answer.receive, answer.send)
        finally:
            await answer.close()


class _Answer:
    """What passes between the application and one client, with one timer: one for each part would cost as much as it.

    Of all that is sent only the part under way can be late.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, limit_seconds: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit_seconds = limit_seconds
        self._loop = asyncio.get_running_loop()
        self._has_begun = False
        self._giving_up: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[Any] | None = None
        self._sending_since = 0.0
        self._is_cut = False
        self._timer = self._loop.call_later(limit_seconds, self._look)

    async def receive(self) -> Message:
        return _DISCONNECT if self._giving_up else await self._receive()

    async def send(self, message: Message) -> None:
        if self._giving_up is not None:
            return
        self._has_begun = True
        self._sender, self._sending_since = asyncio.current_task(), self._loop.time()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            ours, self._is_cut = self._is_cut, False
            if not ours or (self._sender and self._sender.uncancel()):  # somebody else's, or theirs as well
                raise
            logger.warning("The answer was cut: its client read nothing for %g s", self._limit_seconds)
            raise ClientDisconnect from None
        finally:
            self._sender = None

    async def close(self) -> None:
        self._timer.cancel()
        if self._giving_up is not None:
            await self._giving_up

    def _look(self) -> None:
        if not self._has_begun:
            self._scope[REFUSED] = "deadline"
            response = problem_response(RequestTimeoutError(), self._scope)
            self._giving_up = self._loop.create_task(response(self._scope, self._receive, self._send))
            return
        late = self._loop.time() - self._sending_since if self._sender else 0.0
        if self._sender and late >= self._limit_seconds:
            self._is_cut, late = self._sender.cancel(), 0.0
        self._timer = self._loop.call_later(self._limit_seconds - late, self._look)
