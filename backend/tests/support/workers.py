"""A pytest plugin for runs of several workers: which tests wait for the others, and which the others wait for."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from pathlib import Path

import pytest

MARKERS = (
    "alone: measures time, so that the run's other workers wait meanwhile",
    "last: looks back on the whole run, so that it waits until the other workers have no more tests",
)


class Waiting:
    """Three locks between the workers of a run.

    All tests share the room, one that is alone has it whole; who waits for it holds the turn, so that later ones wait
    behind it. Each worker holds its presence until it has no more tests.
    """

    def __init__(self, directory: Path) -> None:
        self._presence, self._turn, self._room = (
            (directory / f"{name}.lock").open("w") for name in ("presence", "turn", "room")
        )
        fcntl.flock(self._presence, fcntl.LOCK_SH)
        self._kept = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        if is_marked(item, "last"):
            fcntl.flock(self._presence, fcntl.LOCK_EX)
        alone = is_marked(item, "alone")
        if not self._kept:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            self._kept = alone and nextitem is not None and is_marked(nextitem, "alone")
            if not self._kept:
                fcntl.flock(self._room, fcntl.LOCK_UN)

    def pytest_sessionfinish(self) -> None:
        fcntl.flock(self._presence, fcntl.LOCK_UN)

    def pytest_unconfigure(self) -> None:
        for lock in (self._presence, self._turn, self._room):
            lock.close()


def is_marked(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


def run_directory(config: pytest.Config) -> Path | None:
    """A directory that the workers of a run share; None where there are none."""
    return Path(config.option.basetemp).parent if hasattr(config, "workerinput") else None


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if directory := run_directory(config):
        config.pluginmanager.register(Waiting(directory))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: is_marked(item, "last"))
