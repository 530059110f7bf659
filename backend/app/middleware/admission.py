"""Admission: how many requests are at work, how many wait, and what is refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import OverloadedError
from app.middleware.access import REFUSED
from app.middleware.problems import problem_response


class _Turn(Enum):
    ADMITTED = auto()
    EXPIRED = auto()
    GONE = auto()


class Admission:
    """Lets `in_flight` requests work and `waiting` more wait their turn, for `wait` at most; refuses the rest (503).

    A place is held until the last byte of the answer is made, not until a slow client has read it, and never for less
    than the work takes: whatever outlives its deadline in a worker thread still counts.
    """

    def __init__(
        self, app: ASGIApp, *, in_flight: int, waiting: int, wait: timedelta, exempt: Callable[[Scope], bool]
    ) -> None:
        self._app = app
        self._free = in_flight
        self._waiting = waiting
        self._wait_seconds = wait.total_seconds()
        self._exempt = exempt
        self._queue: dict[asyncio.Future[_Turn], None] = {}  # a dict as an ordered set: first come, first served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._exempt(scope):
            await self._app(scope, receive, send)
        elif self._free:
            self._free -= 1
            await self._work(scope, receive, send)
        elif len(self._queue) >= self._waiting:
            await _refuse(scope, receive, send, reason="queue full")
        else:
            early: deque[Message] = deque()
            turn = await self._wait(receive, early)
            if turn is _Turn.ADMITTED:
                await self._work(scope, _replay(early, receive), send)
            elif turn is _Turn.EXPIRED:
                await _refuse(scope, receive, send, reason="wait over")

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                self._pass_on()

        async def releasing_send(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                release()
            await send(message)

        try:
            await self._app(scope, receive, releasing_send)
        finally:
            release()

    def _pass_on(self) -> None:
        for turn in self._queue:
            if not turn.done():
                turn.set_result(_Turn.ADMITTED)
                return
        self._free += 1

    async def _wait(self, receive: Receive, early: deque[Message]) -> _Turn:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[_Turn] = loop.create_future()
        self._queue[turn] = None
        timer = loop.call_later(self._wait_seconds, _settle, turn, _Turn.EXPIRED)
        watcher = loop.create_task(_watch(receive, early=early, turn=turn))
        try:
            return await turn
        except asyncio.CancelledError:
            # Cancelled just when its turn came: the place must not be lost.
            if turn.done() and not turn.cancelled() and turn.result() is _Turn.ADMITTED:
                self._pass_on()
            raise
        finally:
            del self._queue[turn]
            timer.cancel()
            watcher.cancel()


def _settle(turn: asyncio.Future[_Turn], outcome: _Turn) -> None:
    if not turn.done():
        turn.set_result(outcome)


async def _watch(receive: Receive, *, early: deque[Message], turn: asyncio.Future[_Turn]) -> None:
    """Read until the client leaves, keeping what it sends for the application.

    Of a body in several parts only the first is read, so that waiting uploads stay outside of this process.
    """
    while True:
        message = await receive()
        early.append(message)
        if message["type"] == "http.disconnect":
            _settle(turn, _Turn.GONE)
            return
        if message.get("more_body", False):
            return


def _replay(early: deque[Message], receive: Receive) -> Receive:
    async def replaying_receive() -> Message:
        return early.popleft() if early else await receive()

    return replaying_receive


async def _refuse(scope: Scope, receive: Receive, send: Send, *, reason: str) -> None:
    scope[REFUSED] = reason
    await problem_response(OverloadedError(), scope)(scope, receive, send)
