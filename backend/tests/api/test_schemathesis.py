"""Generated requests, right and wrong, to every operation: no 5xx, and no answer that the document does not allow."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.python import asgi

from app.db.session import DatabaseSessionManager
from app.main import create_app
from app.models import UserRole
from app.schemas.artifact import ArtifactCreate
from app.schemas.site import SiteWrite
from app.schemas.task import TaskCreate
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.sites import create_site
from app.services.tasks import create_task
from app.services.users import create_user
from app.settings import Settings
from tests.support.api import COMMAND_LINE, bearer, site, task, token_of
from tests.support.database import empty_all_tables
from tests.support.secrets import USER_PASSWORD
from tests.support.settings import make_settings

pytestmark = pytest.mark.slow


@schemathesis.serializer("application/geo+json-seq", "application/x-ndjson")
def as_text(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A sequence of features is any text to the document."""
    return str(value).encode("utf-8", "replace")


generation = GenerationConfig(max_examples=10, deterministic=True, with_security_parameters=False)
config = SchemathesisConfig(seed=7, projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
with tempfile.TemporaryDirectory() as directory:
    app = create_app(make_settings(Path(directory)))
    documents = (app.openapi(), TestClient(app).get("/ogc/api").json())
# The standard wants a maximum there, and no error for what exceeds it.
del documents[1]["components"]["parameters"]["limit"]["schema"]["maximum"]
api, ogc = (schemathesis.openapi.from_dict(document, config=config) for document in documents)
checks = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]


class Service:
    """The application with an administrator, who is in no answer that requests are made from, and things to change."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        self._database: DatabaseSessionManager = self.app.state.database
        with self._database.engine.begin() as connection:
            empty_all_tables(connection)
        self._actor = COMMAND_LINE
        admin = self.make_user("admin")
        self._actor = Actor(id=admin, role=UserRole.ADMIN)
        self.headers = bearer(token_of(self.app, admin))

    def make_user(self, role: str = "viewer") -> uuid.UUID:
        body = {"email": f"{uuid.uuid4()}@example.com", "password": USER_PASSWORD, "role": role}
        with self._database.session() as session:
            return create_user(session, UserCreate.model_validate(body), actor=self._actor, rounds=4).id

    def make_site(self) -> uuid.UUID:
        with self._database.session() as session:
            return create_site(session, SiteWrite.model_validate(site()), actor=self._actor).id

    def make_task(self) -> uuid.UUID:
        with self._database.session() as session:
            return create_task(session, TaskCreate.model_validate(task()), actor=self._actor).id

    def make_artifact(self) -> uuid.UUID:
        body = ArtifactCreate(file_name="plan.pdf", size_bytes=1, sha256="0" * 64)
        with self._database.session() as session:
            made: uuid.UUID = self.app.state.artifacts.create(session, body, actor=self._actor).id
            return made

    def fill_in(self, parameters: dict[str, Any]) -> None:
        """Put something that exists in place of most ids, which would lead nowhere."""
        makers = {
            "user_id": self.make_user,
            "owner_id": self.make_user,
            "site_id": self.make_site,
            "task_id": self.make_task,
            "artifact_id": self.make_artifact,
            "featureId": self.make_site,
        }
        for name in makers.keys() & parameters.keys():
            if is_uuid(parameters[name]) and uuid.UUID(parameters[name]).int % 4:
                parameters[name] = str(makers[name]())


def is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


@pytest.fixture(scope="module")
def service(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield Service(make_settings(tmp_path_factory.mktemp("service"), database_url=database_url))
    asgi.shutdown_lifespans()


@api.parametrize()
def test_no_request_gets_an_answer_that_the_document_does_not_allow(
    case: schemathesis.Case[Any], service: Service
) -> None:
    check(case, service)


@ogc.parametrize()
def test_nor_does_one_by_the_document_of_ogc(case: schemathesis.Case[Any], service: Service) -> None:
    check(case, service)


def check(case: schemathesis.Case[Any], service: Service) -> None:
    for parameters in (case.path_parameters, case.body):
        if isinstance(parameters, dict):
            service.fill_in(parameters)
    case.operation.schema.app = service.app  # also for what a check asks by itself
    case.call_and_validate(app=service.app, headers=service.headers, checks=checks)
