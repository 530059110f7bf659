"""Logging in over HTTP, and what each role may do."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.models import LoginAttempt
from app.settings import AuthSettings, Settings
from tests.support.api import Api, Caller, one_database, problem_of, running
from tests.support.conformance import Document
from tests.support.secrets import USER_PASSWORD

ATTEMPTS = 3
ATTEMPTS_PER_ADDRESS = 5
PUBLIC = {"/api/v1/auth/token", "/api/v1/health", "/healthz", "/readyz", "/metrics"}
FOR_ADMINS = ("/api/v1/users", "/api/v1/audit-events")
FOR_EDITORS = ("/upload", "/parts")  # what leads to a change, though it is only read
FOR_EVERYONE = "/api/v1/users/me"
FOR_READERS = "/api/v1/sites/exports"  # files of what one may read anyway


def with_auth(settings: Settings, **fields: Any) -> Settings:
    return settings.model_copy(update={"auth": settings.auth.model_copy(update=fields)})


@pytest.fixture
def limited(settings: Settings, document: Document) -> Iterator[Api]:
    limits = {"login_attempts": ATTEMPTS, "login_attempts_per_address": ATTEMPTS_PER_ADDRESS}
    with running(with_auth(settings, **limits), document) as api:
        yield api


def test_a_login_gives_a_token_that_is_not_to_be_stored(api: Api) -> None:
    answer = api.login(api.viewer.email)
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 3600)
    me = api.anonymous.read("/users/me", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert me["id"] == api.viewer.id


def test_what_was_wrong_of_the_two_is_not_told(api: Api) -> None:
    wrong, unknown = api.login(api.viewer.email, "not the password"), api.login("nobody@example.com")
    assert problem_of(wrong) == problem_of(unknown) == (401, "invalid-credentials")
    assert wrong.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"] == "Bearer"
    assert wrong.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}


@pytest.mark.parametrize("password", ["x" * 1000, "ü" * 500, f"{USER_PASSWORD}\0", "\0", "\ud800"])
def test_a_password_that_nobody_can_have_is_merely_wrong(api: Api, password: str) -> None:
    content = b"password=" + b"".join(b"%%%02x" % byte for byte in password.encode("utf-8", "surrogatepass"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for email in (api.viewer.email, "nobody@example.com"):
        answer = api.anonymous.post("/auth/token", content=content + b"&username=" + email.encode(), headers=form)
        assert problem_of(answer) == (401, "invalid-credentials")


@one_database
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "a@example.com"},
        {"username": "a@example.com", "password": ""},
        {"username": "a\0@example.com", "password": "x"},
        {"username": "a" * 255, "password": "x"},
        {"username": "a@example.com", "password": "x" * 1001},
        {"username": "a@example.com", "password": "x", "grant_type": "client_credentials"},
    ],
    ids=lambda form: ",".join(form) + str(sum(map(len, form.values()))),
)
def test_a_form_that_is_none_is_refused(api: Api, form: dict[str, str]) -> None:
    assert problem_of(api.anonymous.post("/auth/token", data=form)) == (422, "invalid-request")


@one_database
def test_a_login_is_a_form_not_json(api: Api) -> None:
    answer = api.anonymous.post("/auth/token", json={"username": api.viewer.email, "password": USER_PASSWORD})
    assert problem_of(answer) == (415, "unsupported-media-type")


@one_database
@pytest.mark.parametrize("scheme", ["Basic", "bearer", "Bearer", ""])
def test_without_a_valid_token_the_answer_names_the_scheme(api: Api, scheme: str) -> None:
    answer = api.anonymous.get("/tasks", headers={"Authorization": f"{scheme} nonsense"})
    assert problem_of(answer) == (401, "invalid-token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def fail(api: Api, times: int, *, email: str | None = None) -> None:
    for _ in range(times):
        answer = api.login(email or f"{uuid.uuid4()}@example.com", "not the password")
        assert problem_of(answer) == (401, "invalid-credentials")


def test_too_many_failures_close_the_account_for_a_while_even_to_its_owner(limited: Api) -> None:
    fail(limited, ATTEMPTS, email=limited.viewer.email)
    answer = limited.login(limited.viewer.email)
    assert problem_of(answer) == (429, "too-many-attempts")
    window = AuthSettings().login_window_seconds.total_seconds()
    assert window - 60 < int(answer.headers["Retry-After"]) <= window
    assert limited.login(limited.editor.email).status_code == 200


def test_failures_count_for_an_email_in_any_case(limited: Api) -> None:
    fail(limited, ATTEMPTS, email=limited.viewer.email.upper())
    assert limited.login(limited.viewer.email).status_code == 429


def test_unknown_accounts_are_closed_too(limited: Api) -> None:
    fail(limited, ATTEMPTS, email="nobody@example.com")
    assert limited.login("nobody@example.com").status_code == 429


def test_too_many_failures_close_the_address_for_a_while(limited: Api, settings: Settings, document: Document) -> None:
    fail(limited, ATTEMPTS_PER_ADDRESS)
    assert problem_of(limited.login(limited.viewer.email)) == (429, "too-many-attempts")
    with running(
        with_auth(settings, login_attempts_per_address=ATTEMPTS_PER_ADDRESS), document, address="198.51.100.7"
    ) as api:
        assert api.login(limited.viewer.email).status_code == 200


def test_a_success_forgives_the_accounts_failures(limited: Api) -> None:
    for _ in range(2):
        fail(limited, ATTEMPTS - 1, email=limited.viewer.email)
        assert limited.login(limited.viewer.email).status_code == 200


def test_successes_do_not_close_an_address(limited: Api) -> None:
    for _ in range(ATTEMPTS_PER_ADDRESS + 1):
        assert limited.login(limited.viewer.email).status_code == 200


def test_right_logins_at_once_do_not_close_the_account(limited: Api) -> None:
    email, times = limited.viewer.email, 12
    with ThreadPoolExecutor(times) as pool:
        answers = list(pool.map(limited.login, [email] * times))
    assert [answer.status_code for answer in answers] == [200] * times


def test_failures_are_forgotten_after_the_window(limited: Api) -> None:
    fail(limited, ATTEMPTS, email=limited.viewer.email)
    fail(limited, ATTEMPTS_PER_ADDRESS - ATTEMPTS)
    past = datetime.now(UTC) - AuthSettings().login_window_seconds - timedelta(seconds=1)
    with limited.app.state.database.session() as session, session.begin():
        session.execute(update(LoginAttempt).values(occurred_at=past))
    assert limited.login(limited.viewer.email).status_code == 200


def example_of(document: Document, operation: Mapping[str, Any]) -> dict[str, Any]:
    """How to send an operation's first example."""
    if "requestBody" not in operation:
        return {}
    content = operation["requestBody"]["content"]
    schema = content["application/json" if "application/json" in content else next(iter(content))]["schema"]
    if "$ref" in schema:
        schema = document.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    members = {name: member["examples"][0] for name, member in schema["properties"].items() if "examples" in member}
    return {"json": schema.get("examples", [members])[0]}


def needed_role(method: str, path: str) -> str:
    if path == FOR_EVERYONE or path.startswith(FOR_READERS):
        return "viewer"
    if path.startswith(FOR_ADMINS):
        return "admin"
    return "viewer" if method == "GET" and not path.endswith(FOR_EDITORS) else "editor"


def statuses(caller: Caller, document: Document, *, needed: str | None = None) -> dict[str, int]:
    """What each operation that is not public answers, in short."""
    found = {}
    for (method, path), operation in document.operations.items():
        if path in PUBLIC or (needed and needed_role(method, path) != needed):
            continue
        target = re.sub(r"\{\w+\}", "0", re.sub(r"\{\w+_id\}", str(uuid.UUID(int=7)), path))
        found[f"{method} {path}"] = caller.request(
            method, f"http://testserver{target}", **example_of(document, operation)
        ).status_code
    return found


def forged(caller: Caller) -> dict[str, str]:
    """A token that is right but for its signature."""
    head, _, signature = caller.headers["Authorization"].rpartition(".")
    return {"Authorization": f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"}


@pytest.mark.parametrize("token", [{}, {"Authorization": "Bearer nonsense"}, None], ids=["none", "wrong", "forged"])
def test_every_operation_needs_a_token_but_those_that_are_public(api: Api, token: dict[str, str] | None) -> None:
    stranger = Caller(client=api.client, headers=forged(api.admin) if token is None else token)
    found = statuses(stranger, api.document)
    assert len(found) > 25
    assert {name for name, status in found.items() if status != 401} == set()


@pytest.mark.parametrize(("role", "needed"), [("viewer", "editor"), ("viewer", "admin"), ("editor", "admin")])
def test_a_lower_role_is_refused_by_every_operation_of_a_higher_one(api: Api, role: str, needed: str) -> None:
    found = statuses(api.user(role), api.document, needed=needed)
    assert found
    assert set(found.values()) == {403}, found


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_a_role_is_enough_for_every_operation_of_its_own(api: Api, role: str) -> None:
    found = statuses(api.user(role), api.document, needed=role)
    assert found
    assert not {401, 403} & set(found.values()), found
