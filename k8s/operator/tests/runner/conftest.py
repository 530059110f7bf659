"""One server for the run; each test has an empty database and an application of its own."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from runner.application import ENV, RUNNER, Application
from runner.postgres import MissingServerError, query, server

sys.path.append(str(RUNNER))  # as in the container, where it is no installed package


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(server())
        except MissingServerError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))
        yield url


@pytest.fixture
def database(postgres: sa.URL) -> Iterator[sa.URL]:
    name = f"runner_{uuid.uuid4().hex[:8]}"
    query(postgres, f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgres.set(database=name)
    query(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def app(database: sa.URL, tmp_path: Path) -> Iterator[Application]:
    """An application without revisions."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    application = Application(tmp_path, database)
    application.env(ENV)
    yield application
    for run in application.runs:
        if run.process.poll() is None:
            run.kill()
