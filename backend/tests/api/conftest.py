from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from tests.support.api import Api, running
from tests.support.conformance import Document
from tests.support.ogc import Ogc, serving
from tests.support.settings import make_settings


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The service's OpenAPI document, the same under all settings; it takes longer to make than most tests."""
    return Document(create_app(make_settings(tmp_path_factory.mktemp("document"))).openapi())


@pytest.fixture
def api(settings: Settings, document: Document) -> Iterator[Api]:
    with running(settings, document) as api:
        yield api


@pytest.fixture
def ogc(settings: Settings, document: Document) -> Iterator[Ogc]:
    with serving(settings, document) as ogc:
        yield ogc


@pytest.fixture(scope="session")
def empty_ogc(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, document: Document) -> Iterator[Ogc]:
    """For what needs no site, shared by the run: write nothing."""
    settings = make_settings(tmp_path_factory.mktemp("ogc"))
    shutil.copy(migrated_sqlite, settings.database.sqlite_path)
    with serving(settings, document) as ogc:
        yield ogc
