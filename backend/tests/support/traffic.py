"""Clients that go on asking whatever happens, and what became of each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from tests.support.service import Service

PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 20.0  # far beyond the service's own limit, which is what is measured


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request: when it began (monotonic) and how long it took; `status` is 0 where there was no answer."""

    began: float
    seconds: float
    status: int
    problem: str = ""
    retry_after: str | None = None


Send = Callable[[httpx.Client], httpx.Response]


@dataclass
class Traffic:
    """One thread a `send`, each with its own connection, from entering to leaving the block."""

    service: Service
    sends: Sequence[Send]
    outcomes: list[Outcome] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(send,)) for send in self.sends]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float) -> list[Outcome]:
        """The requests that began after that moment and have ended."""
        return [outcome for outcome in self.outcomes if outcome.began > moment]

    def _go_on(self, send: Send) -> None:
        with self.service.client(timeout_seconds=PATIENCE_SECONDS) as client:
            while not self._over.wait(PAUSE_SECONDS):
                self.outcomes.append(_outcome(send, client))


def _outcome(send: Send, client: httpx.Client) -> Outcome:
    began = time.monotonic()
    try:
        answer = send(client)
    except httpx.TransportError:
        return Outcome(began=began, seconds=time.monotonic() - began, status=0)
    seconds = time.monotonic() - began
    is_problem = answer.headers.get("Content-Type") == "application/problem+json"
    return Outcome(
        began=began,
        seconds=seconds,
        status=answer.status_code,
        problem=answer.json()["type"].rpartition("/")[2] if is_problem else "",
        retry_after=answer.headers.get("Retry-After"),
    )
