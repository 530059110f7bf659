"""Databases of either dialect with nothing in them, and a look at what a migration made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine

from app.settings import Settings
from tests.support.settings import make_settings


@pytest.fixture
def blank(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings on a database of the test's own with nothing in it."""
    if dialect == "postgresql":
        return make_settings(tmp_path, database_url=request.getfixturevalue("new_database_url"))
    return make_settings(tmp_path)


@pytest.fixture
def engine(blank: Settings) -> Iterator[Engine]:
    """A plain engine on that database."""
    engine = create_engine(blank.database.sqlalchemy_url(), poolclass=NullPool)
    yield engine
    engine.dispose()
