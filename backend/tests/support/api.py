"""Clients of the service in this process: users of each role, and bodies to send."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import select

from app.main import create_app
from app.models import Locale, User, UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from app.settings import Settings
from tests.support.conformance import Document
from tests.support.secrets import USER_PASSWORD

PREFIX = "/api/v1"
PROBLEMS = "https://landfall.dev/problems/"
ADDRESS = "203.0.113.9"
# For what is refused before any database is asked.
one_database = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
COMMAND_LINE = Actor(id=None, role=UserRole.ADMIN)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One who sends requests, with a token or without; paths are relative to the API unless they start with it."""

    client: TestClient
    headers: Mapping[str, str]
    id: str = ""
    email: str = ""

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        url = path if path.startswith((PREFIX, "http")) else PREFIX + path
        return self.client.request(method, url, headers={**self.headers, **(headers or {})}, **options)

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Response:
        return self.request("DELETE", path, **options)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a POST made."""
        answer = self.post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def read(self, path: str, **options: Any) -> dict[str, Any]:
        """What a GET found."""
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def listed(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The rows of one page."""
        page = self.read(path, params=params)
        rows: list[dict[str, Any]] = page["features"] if "features" in page else page["items"]
        return rows


class Api:
    """The service, and the users that a test needs; every answer is held against the OpenAPI document."""

    def __init__(self, app: FastAPI, client: TestClient, document: Document) -> None:
        self.app = app
        self.client = client
        self.document = document
        client.event_hooks["response"].append(document.check)

    @cached_property
    def anonymous(self) -> Caller:
        return Caller(client=self.client, headers={})

    @cached_property
    def viewer(self) -> Caller:
        return self.user(UserRole.VIEWER)

    @cached_property
    def editor(self) -> Caller:
        return self.user(UserRole.EDITOR)

    @cached_property
    def admin(self) -> Caller:
        return self.user(UserRole.ADMIN)

    def user(self, role: UserRole | str, *, email: str | None = None, password: str = USER_PASSWORD) -> Caller:
        """A new user with a token."""
        email = email or f"{role}-{uuid.uuid4().hex[:8]}@example.com"
        body = UserCreate(email=email, password=SecretStr(password), role=UserRole(role), locale=Locale.EN)
        with self.app.state.database.session() as session:
            user_id = create_user(session, body, actor=COMMAND_LINE, rounds=4).id
        return Caller(client=self.client, headers=bearer(token_of(self.app, user_id)), id=str(user_id), email=email)

    def login(self, email: str, password: str = USER_PASSWORD, **options: Any) -> Response:
        return self.anonymous.post("/auth/token", data={"username": email, "password": password}, **options)


@contextmanager
def running(settings: Settings, document: Document, *, address: str = ADDRESS) -> Iterator[Api]:
    """The service, started and stopped around the block; its clients come from `address`."""
    app = create_app(settings)
    with TestClient(app, client=(address, 50_000)) as client:
        yield Api(app, client, document)


def token_of(app: FastAPI, user_id: uuid.UUID) -> str:
    """A token as from a login, without its work."""
    with app.state.database.session() as session, session.begin():
        password_hash = session.scalar(select(User.password_hash).where(User.id == user_id))
    token: str = app.state.authenticator.issue(user_id, password_hash=password_hash).text
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def task(**members: Any) -> dict[str, Any]:
    return {"title": "Read the meter"} | members


def site(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    """A Feature; a point in Berlin unless told otherwise."""
    return {
        "type": "Feature",
        "geometry": geometry or point(13.4, 52.5),
        "properties": {"name": "Pumping station 7", "kind": "pump"} | properties,
    }


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def problem_of(response: Response) -> tuple[int, str]:
    """The status and the kind of a problem: `(404, "not-found")`."""
    kind = response.json()["type"]
    assert kind.startswith(PROBLEMS), kind
    return response.status_code, kind.removeprefix(PROBLEMS)


def wrong_fields(response: Response) -> list[tuple[str, str]]:
    """Where a request is wrong and how: `[("body.title", "missing")]`."""
    assert response.status_code == 422, response.text
    return [(".".join(map(str, error["loc"])), error["type"]) for error in response.json()["errors"]]
