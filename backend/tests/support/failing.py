"""A collaborator that is away a few times."""

from __future__ import annotations

from typing import Any

from app.errors import StorageUnavailableError


class Failing:
    """Another object, whose method `operation` fails the first `times` times."""

    def __init__(self, inner: object, operation: str, *, times: int) -> None:
        self._inner = inner
        self._operation = operation
        self._left = times

    def __getattr__(self, name: str) -> Any:
        if name == self._operation and self._left:
            self._left -= 1
            raise StorageUnavailableError
        return getattr(self._inner, name)
