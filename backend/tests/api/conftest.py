from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.main import create_app
from app.settings import Settings
from tests.support.api import Api, running
from tests.support.conformance import Document
from tests.support.settings import make_settings


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The service's OpenAPI document, the same under all settings; it takes longer to make than most tests."""
    return Document(create_app(make_settings(tmp_path_factory.mktemp("document"))).openapi())


@pytest.fixture
def api(settings: Settings, document: Document) -> Iterator[Api]:
    with running(settings, document) as api:
        yield api
