"""Few calls at once to one store, and none while it is known to be away: a store that hangs delays nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

WIDTH = 4  # calls at once to one store
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 20.0

Trouble = TypeVar("Trouble", bound=Exception)


@dataclass
class _Lane(Generic[Trouble]):
    inside: int = 0
    trouble: Trouble | None = None
    pause: float = 0.0
    until: float = 0.0


class Lanes(Generic[Trouble]):
    """One for each store, by its endpoint."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._lanes: dict[str, _Lane[Trouble]] = {}
        self._clock = clock

    def enter(self, endpoint: str) -> bool:
        """Whether there is room; what enters must leave. Where the store was away, one at a time tries it again."""
        lane = self._lanes.setdefault(endpoint, _Lane())
        room = lane.inside < (1 if lane.trouble else WIDTH)
        lane.inside += room
        return room

    def trouble(self, endpoint: str) -> tuple[Trouble, float] | None:
        """Why nobody should try this store now, and the seconds until one may."""
        lane = self._lanes.get(endpoint)
        left = lane.until - self._clock() if lane else 0.0
        return (lane.trouble, left) if lane and lane.trouble and left > 0 else None

    def leave(self, endpoint: str, trouble: Trouble | None) -> None:
        """`trouble` where the store is away, as far as this call could tell."""
        lane = self._lanes[endpoint]
        lane.inside -= 1
        lane.trouble = trouble
        if trouble is None:
            lane.pause = 0.0
        elif lane.until <= self._clock():  # of several that failed together the first one counts
            lane.pause = min(max(2 * lane.pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            lane.until = self._clock() + lane.pause
