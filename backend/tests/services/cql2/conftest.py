from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from app.db.session import DatabaseSessionManager
from tests.support.database import empty_all_tables
from tests.support.filters import insert_sites
from tests.support.settings import make_settings


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session whose uncommitted transaction has the sites."""
    directory = tmp_path_factory.mktemp("sites")
    if request.param == "postgresql":
        settings = make_settings(directory, database_url=request.getfixturevalue("database_url"))
    else:
        settings = make_settings(directory)
        shutil.copy(request.getfixturevalue("migrated_sqlite"), settings.database.sqlite_path)
    with DatabaseSessionManager(settings.database) as manager, manager.session() as session:
        if request.param == "postgresql":
            empty_all_tables(session.connection())
        insert_sites(session)
        yield session
