"""Every error is a problem: its body, its headers, its place in the OpenAPI document."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app import messages
from app.api import problems
from app.api.problems import problem_responses
from app.errors import (
    ConflictError,
    CursorInvalidError,
    DatabaseUnavailableError,
    FieldProblem,
    GeometryInvalidError,
    NotFoundError,
    RequestInvalidError,
    VersionMismatchError,
)
from app.messages_de import FIELD_MESSAGES
from app.middleware.problems import UnhandledErrors

PREFIX = "https://landfall.dev/problems/"
SECRET = "tell-no-one"


class Kind(StrEnum):
    WELL = "well"
    MAST = "mast"


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=2, max_length=5, pattern="^[a-z]*$")
    password: str = "long enough"
    size: int = Field(1, ge=1, le=9)
    kind: Kind = Kind.WELL
    active: bool = True
    due: datetime | None = None
    owner: UUID | None = None
    tags: list[str] = Field([], max_length=2)

    @field_validator("password")
    @classmethod
    def _long(cls, value: str) -> str:
        if len(value) < 8:
            raise ValueError("Eight characters or more.")
        return value


class DriverError(Exception):
    """What psycopg2 raises, as far as we look at it."""

    def __init__(self, text: str, *, pgcode: str | None = None) -> None:
        super().__init__(text)
        self.pgcode = pgcode


def database_error(
    kind: type[DBAPIError], *, pgcode: str | None = None, invalidated: bool = False, orig: Exception | None = None
) -> DBAPIError:
    cause = orig or DriverError(f"went wrong\nDETAIL: ({SECRET})", pgcode=pgcode)
    return kind("SELECT 1", {"password": SECRET}, cause, hide_parameters=True, connection_invalidated=invalidated)


def sqlite_error(statement: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(":memory:").execute(statement)
    return caught.value


GEOMETRY = FieldProblem(
    loc=["body", "geometry"], type="self_crossing", message="Crosses itself at {position}.", params={"position": "1 2"}
)
RAISED: dict[str, Exception] = {
    "not-found": NotFoundError(noun="site", id=UUID(int=7)),
    "geometry": GeometryInvalidError(errors=[GEOMETRY]),
    "away": DatabaseUnavailableError(),
    "teapot": HTTPException(418, headers={"X-Pot": "short"}),
    "operational": database_error(OperationalError),
    "interface": database_error(InterfaceError),
    "invalidated": database_error(DBAPIError, invalidated=True),
    "pool": PoolTimeoutError("QueuePool limit"),
    "statement-timeout": database_error(OperationalError, pgcode="57014"),
    "lock-timeout": database_error(OperationalError, pgcode="55P03"),
    "deadlock": database_error(OperationalError, pgcode="40P01"),
    "integrity": database_error(IntegrityError, pgcode="23505"),
    "stale": StaleDataError("1 row expected, 0 matched"),
    "our-sql": database_error(ProgrammingError, pgcode="42601"),
    "our-sqlite": database_error(OperationalError, orig=sqlite_error("SELECT FROM")),
}


def make_app() -> FastAPI:
    app = FastAPI(middleware=[Middleware(UnhandledErrors)])
    problems.install(app)
    router = APIRouter(prefix="/things")

    @router.get("", responses=problem_responses(RequestInvalidError, CursorInvalidError))
    async def list_things(limit: int = 10) -> list[int]:
        return [limit]

    @router.post("", responses=problem_responses(ConflictError))
    async def create_thing(thing: Thing) -> Thing:
        return thing

    @router.delete(
        "/{name}", responses=problem_responses(NotFoundError, VersionMismatchError, DatabaseUnavailableError)
    )
    async def delete_thing(name: UUID) -> None:
        """Delete it."""

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISED[name]

    app.include_router(router, prefix="/api/v1")
    return app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app()) as client:
        yield client


def test_a_problem_has_the_standard_members_and_its_own(client: TestClient) -> None:
    answer = client.get("/raise/not-found")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.status_code == 404
    assert answer.json() == {
        "type": f"{PREFIX}not-found",
        "title": "Not found",
        "status": 404,
        "detail": f"There is no site with the id {UUID(int=7)}.",
        "instance": "/raise/not-found",
        "request_id": None,
        "noun": "site",
        "id": str(UUID(int=7)),
    }


def test_a_problem_speaks_the_clients_language_and_says_so(client: TestClient) -> None:
    answer = client.get("/raise/not-found", headers={"Accept-Language": "de-AT, en;q=0.5"})
    assert answer.json()["detail"] == f"Nicht vorhanden: Standort mit der Kennung {UUID(int=7)}."
    assert (answer.headers["Content-Language"], answer.headers["Vary"]) == ("de", "Accept-Language")


def test_field_problems_of_our_own_are_filled_and_listed(client: TestClient) -> None:
    expected = {"loc": ["body", "geometry"], "type": "self_crossing", "message": "Crosses itself at 1 2."}
    assert client.get("/raise/geometry").json()["errors"] == [expected]


def test_what_passes_by_itself_says_when_to_come_back(client: TestClient) -> None:
    answer = client.get("/raise/away")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("operational", 503, "database-unavailable"),
        ("interface", 503, "database-unavailable"),
        ("invalidated", 503, "database-unavailable"),
        ("pool", 503, "database-unavailable"),
        ("statement-timeout", 503, "timeout"),
        ("lock-timeout", 503, "timeout"),
        ("deadlock", 409, "concurrent-change"),
        ("stale", 409, "concurrent-change"),
        ("integrity", 409, "conflict"),
        ("our-sql", 500, "internal-error"),
        ("our-sqlite", 500, "internal-error"),
    ],
)
def test_database_errors_tell_trouble_from_conflicts_and_bugs(
    client: TestClient, name: str, status: int, kind: str
) -> None:
    answer = client.get(f"/raise/{name}")
    assert (answer.status_code, answer.json()["type"]) == (status, PREFIX + kind)
    assert SECRET not in answer.text


def test_a_logged_database_error_does_not_quote_the_row(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/raise/integrity")
    client.get("/raise/operational")
    assert len(caplog.records) == 2
    assert SECRET not in caplog.text


def test_a_real_database_that_is_away_is_503() -> None:
    app = make_app()
    engine = create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/nowhere")

    @app.get("/query")
    def query() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    with TestClient(app) as client:
        assert client.get("/query").status_code == 503


def test_an_unknown_address_is_a_problem(client: TestClient) -> None:
    answer = client.get("/n%20o?token=x")
    assert (answer.status_code, answer.json()["type"]) == (404, f"{PREFIX}no-such-address")
    assert answer.json()["instance"] == "/n%20o"


def test_a_method_that_no_route_of_the_address_has_lists_those_of_all(client: TestClient) -> None:
    answer = client.patch("/api/v1/things")
    assert (answer.status_code, answer.json()["type"]) == (405, f"{PREFIX}method-not-allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_any_other_status_is_a_problem_without_a_type_of_its_own(client: TestClient) -> None:
    answer = client.get("/raise/teapot")
    assert (answer.status_code, answer.headers["X-Pot"]) == (418, "short")
    assert (answer.json()["type"], answer.json()["title"]) == ("about:blank", "I'm a Teapot")


def invalid(client: TestClient, body: Any, *, language: str = "en") -> list[dict[str, Any]]:
    answer = client.post("/api/v1/things", json=body, headers={"Accept-Language": language})
    assert answer.status_code == 422
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


def test_an_invalid_body_is_listed_field_by_field_without_the_input(client: TestClient) -> None:
    errors = invalid(client, {"name": SECRET, "password": "hunter2", "size": 10, SECRET[:5]: 1})
    assert [(error["loc"], error["type"]) for error in errors] == [
        (["body", "name"], "string_too_long"),
        (["body", "password"], "value_error"),
        (["body", "size"], "less_than_equal"),
        (["body", SECRET[:5]], "extra_forbidden"),
    ]
    assert errors[1]["message"] == "Eight characters or more."
    assert "hunter2" not in json.dumps(errors)
    assert SECRET not in json.dumps(errors)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "a"},
        {"name": "toolong"},
        {"name": "ABC"},
        {"name": 1},
        {"name": "abc", "extra": 1},
        {"name": "abc", "size": 0},
        {"name": "abc", "size": 10},
        {"name": "abc", "size": "many"},
        {"name": "abc", "size": 1.5},
        {"name": "abc", "kind": "tree"},
        {"name": "abc", "active": "perhaps"},
        {"name": "abc", "due": "soon"},
        {"name": "abc", "owner": "me"},
        {"name": "abc", "tags": ["a", "b", "c"]},
        {"name": "abc", "tags": "a"},
        [],
        None,
    ],
    ids=json.dumps,
)
def test_field_messages_speak_german(client: TestClient, wrong: Any) -> None:
    (english,), (german,) = invalid(client, wrong), invalid(client, wrong, language="de")
    assert english["type"] in FIELD_MESSAGES
    assert english["message"] != german["message"]


def test_json_that_does_not_parse_is_told_with_the_position(client: TestClient) -> None:
    answer = client.post("/api/v1/things", content=b'{"name": }', headers={"Content-Type": "application/json"})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["loc"], error["type"]) == (422, ["body", 9], "json_invalid")
    assert error["message"] == "The JSON does not parse at character 9: Expecting value."


def test_a_body_in_no_encoding_is_a_problem(client: TestClient) -> None:
    answer = client.post("/api/v1/things", content=b'"\xff"', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, f"{PREFIX}unreadable-request")


def test_a_long_list_of_wrong_items_and_a_long_name_are_cut_short(client: TestClient) -> None:
    errors = invalid(client, {f"{number}{'x' * 1000}": 1 for number in range(200)})
    assert len(errors) == problems.MAX_FIELD_PROBLEMS
    assert max(len(error["loc"][-1]) for error in errors) <= messages.MAX_NAME_LENGTH


def test_the_openapi_document_is_valid_and_tells_of_problems_in_one_media_type_only() -> None:
    document = make_app().openapi()
    validate(document)
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                assert status.startswith("2") or list(response["content"]) == ["application/problem+json"]
    assert {"Problem", "FieldError"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_errors_of_one_status_share_an_entry_with_an_example_each() -> None:
    responses = problem_responses(RequestInvalidError, CursorInvalidError, NotFoundError)
    assert list(responses) == [404, 422]
    examples = responses[422]["content"]["application/problem+json"]["examples"]
    assert list(examples) == ["invalid-request", "invalid-cursor"]


def test_every_real_problem_fits_the_documented_schema(client: TestClient) -> None:
    for path in ("/raise/not-found", "/raise/geometry", "/raise/teapot", "/nowhere"):
        problems.Problem.model_validate(client.get(path).json())
