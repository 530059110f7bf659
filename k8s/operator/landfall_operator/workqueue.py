"""A queue of names: each is worked on by one worker at a time, once however often it was added meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

Key = tuple[str, str]


class WorkQueue:
    """Like client-go's: `add` is cheap, `add_after` replaces an earlier wake-up only by a sooner one."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}

    def add(self, key: Key) -> None:
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        due = monotonic() + seconds
        earlier = self._timers.get(key)
        if earlier and earlier[0] <= due and not earlier[1].cancelled() and earlier[0] > monotonic():
            return
        if earlier:
            earlier[1].cancel()
        self._timers[key] = (due, asyncio.get_running_loop().call_later(seconds, self._fire, key))

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def work(self, function: Callable[[Key], Awaitable[None]]) -> None:
        """Take names and call the function for each, for ever; the function handles its own errors."""
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                await function(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
