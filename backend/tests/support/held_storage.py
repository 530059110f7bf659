"""A store that stops in the middle of an operation, so that a test can do something else meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from app.artifacts.storage import ArtifactStorage

T = TypeVar("T")

WAIT_SECONDS = 10


class HeldStorage:
    """An `ArtifactStorage` in front of another; it holds the first call of `operation`, before it or after it."""

    def __init__(self, inner: ArtifactStorage, operation: str, *, after: bool = False) -> None:
        self._inner = inner
        self._operation = operation
        self._after = after
        self._reached = Event()
        self._released = Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._held(method) if name == self._operation and not self._reached.is_set() else method

    def _held(self, method: Callable[..., T]) -> Callable[..., T]:
        def call(*args: Any, **kwargs: Any) -> T:
            result = method(*args, **kwargs) if self._after else None
            self._reached.set()
            assert self._released.wait(WAIT_SECONDS)
            return result if result is not None else method(*args, **kwargs)

        return call

    @contextmanager
    def held(self, work: Callable[[], T]) -> Iterator[Future[T]]:
        """Run `work` in a thread until it is held; it goes on when the block ends."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            try:
                assert self._reached.wait(WAIT_SECONDS), future
                yield future
            finally:
                self._released.set()
