"""The command line against a database of either dialect, empty and migrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.support.cli import Done, Running, environment_for, landfall, start
from tests.support.tools import free_port

Run = Callable[..., Done]
Start = Callable[..., Running]


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The variables that say what `settings` do."""
    url = settings.database.url
    return environment_for(tmp_path, database_url=url.get_secret_value() if url else None)


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run `landfall` to its end: `run("seed", stdin="…", ENVIRONMENT="production")`."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
        return landfall(*arguments, environment={**environment, **variables}, directory=tmp_path, stdin=stdin)

    return run


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start `landfall serve`; it is ended with the test."""
    started: list[Running] = []

    def serve(*arguments: str, **variables: str) -> Running:
        port = {"LISTEN_PORT": str(free_port())}
        started.append(start("serve", *arguments, environment={**environment, **port, **variables}, directory=tmp_path))
        return started[-1]

    yield serve
    for running in started:
        running.process.terminate()
        running.end()
