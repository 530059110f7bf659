"""The OpenAPI document: valid, complete, and with examples that work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import SecretStr

from app.main import create_app
from app.settings import ArtifactSettings
from tests.support.api import Api, site, task
from tests.support.conformance import Document, Operation
from tests.support.secrets import S3_ACCESS_KEY, S3_SECRET_KEY, USER_PASSWORD
from tests.support.settings import make_settings

PUBLIC = {"/api/v1/auth/token", "/api/v1/health", "/healthz", "/readyz", "/metrics"}
PROBES = PUBLIC - {"/api/v1/auth/token"}
ARTIFACT = {"file_name": "plan.pdf", "size_bytes": 1, "sha256": "0" * 64}


def test_the_document_is_valid(document: Document) -> None:
    validate(document.document)


def test_the_document_is_the_same_with_another_database_and_store(document: Document, tmp_path: Path) -> None:
    store = ArtifactSettings(
        bucket="files",
        endpoint_url="http://127.0.0.1:1",
        access_key=S3_ACCESS_KEY,
        secret_key=SecretStr(S3_SECRET_KEY),
    )
    settings = make_settings(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/nowhere", artifacts=store)
    assert create_app(settings).openapi() == document.document


def kinds(operation: Operation) -> set[str]:
    """The problems that an operation may end in."""
    contents = [response.get("content", {}) for response in operation["responses"].values()]
    return {kind for content in contents for kind in content.get("application/problem+json", {}).get("examples", {})}


def expected_kinds(method: str, path: str, operation: Operation) -> set[str]:
    """What every operation of its kind can end in."""
    expected = {"invalid-request", "overloaded", "database-unavailable", "timeout", "internal-error"}
    parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
    if path not in PUBLIC:
        expected |= {"invalid-token", "permission-denied"}
    if "{" in path:
        expected |= {"not-found"}
    if "requestBody" in operation:
        expected |= {"unreadable-request", "body-too-large", "unsupported-media-type"}
    if "if-match" in parameters:
        expected |= {"version-mismatch"}
    if "idempotency-key" in parameters:
        expected |= {"idempotency-key-reused"}
    if path not in PUBLIC and method != "GET" and not path.endswith("/parts"):  # those are only signed
        expected |= {"concurrent-change"}
    if "cursor" in parameters:
        expected |= {"invalid-cursor"}
    return expected


def test_every_operation_lists_its_errors(document: Document) -> None:
    missing = {
        f"{method} {path}": lacking
        for (method, path), operation in document.operations.items()
        if path not in PROBES and (lacking := expected_kinds(method, path, operation) - kinds(operation))
    }
    assert missing == {}


def test_every_operation_has_a_name_a_summary_and_a_group(document: Document) -> None:
    names = [operation["operationId"] for operation in document.operations.values()]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["tags"] for operation in document.operations.values())


def test_an_operation_asks_for_a_token_unless_it_is_public(document: Document) -> None:
    without = {path for (_, path), operation in document.operations.items() if "security" not in operation}
    assert without == PUBLIC


def test_every_creation_takes_an_idempotency_key_and_every_change_a_version(document: Document) -> None:
    for (method, path), operation in document.operations.items():
        parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
        if method == "POST" and "201" in operation["responses"]:
            assert "idempotency-key" in parameters, path
            assert {"ETag", "Location"} <= operation["responses"]["201"]["headers"].keys(), path
        # An export has no version: nobody changes one.
        if method in {"PUT", "PATCH", "DELETE"} and "{export_id}" not in path:
            assert "if-match" in parameters, path


def examples_of(document: Document, operation: Operation) -> list[dict[str, Any]]:
    """A schema's own examples, or one made of its members'."""
    content = next(iter(operation["requestBody"]["content"].values()))
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = document.document["components"]["schemas"][name] if name else content["schema"]
    examples: list[dict[str, Any]] = schema.get("examples", [])
    members = {name: member["examples"][0] for name, member in schema["properties"].items() if "examples" in member}
    return examples or [members]


def created(api: Api) -> Mapping[str, str]:
    """An id for each parameter in a path."""
    return {
        "{user_id}": api.viewer.id,
        "{site_id}": api.admin.create("/sites", site())["id"],
        "{task_id}": api.admin.create("/tasks", task())["id"],
        "{artifact_id}": api.admin.create("/artifacts", ARTIFACT)["id"],
    }


def test_every_example_of_a_body_is_accepted(api: Api) -> None:
    ids = created(api)
    sent = 0
    for (method, path), operation in api.document.operations.items():
        if "requestBody" not in operation or path == "/api/v1/auth/token":
            continue
        url = path
        for name, value in ids.items():
            url = url.replace(name, value)
        for example in examples_of(api.document, operation):
            answer = api.admin.request(method, url, json=example)
            # Only a large upload has parts.
            expected = {409} if path.endswith("/parts") else {200, 201, 202}
            assert answer.status_code in expected, (method, path, answer.text)
            if answer.status_code == 201:
                api.admin.delete(answer.headers["Location"])  # the next example may have the same e-mail address
            sent += 1
    assert sent > 10


def test_the_example_of_a_login_works(api: Api) -> None:
    (example,) = examples_of(api.document, api.document.operations["POST", "/api/v1/auth/token"])
    api.user("viewer", email=example["username"], password=example["password"])
    assert api.login(example["username"], example["password"]).status_code == 200


def test_every_example_of_a_parameter_is_accepted(api: Api) -> None:
    sent = 0
    for (method, path), operation in api.document.operations.items():
        for parameter in operation.get("parameters", []):
            for example in parameter["schema"].get("examples", []):
                assert method == "GET"
                assert api.admin.get(path, params={parameter["name"]: example}).status_code == 200
                sent += 1
    assert sent


def schema_members(document: Document, name: str) -> set[str]:
    return set(document.document["components"]["schemas"][name]["properties"])


def test_answers_have_the_documented_members_and_no_others(api: Api) -> None:
    user = {"email": "ada@example.com", "password": USER_PASSWORD}
    made = {"SiteOut": ("/sites", site()), "TaskOut": ("/tasks", task()), "UserOut": ("/users", user)}
    for name, (path, body) in made.items():
        answer = api.admin.create(path, body)
        page = api.admin.read(path)
        assert set(answer) == schema_members(api.document, name)
        assert set(page) == schema_members(api.document, name.replace("Out", "Page"))
    properties = api.admin.listed("/sites")[0]["properties"]
    assert set(properties) == schema_members(api.document, "SitePropertiesOut")
    (event, *_) = api.admin.listed("/audit-events")
    assert set(event) == schema_members(api.document, "AuditEventOut")


def test_the_served_document_is_this_one(api: Api) -> None:
    api.client.event_hooks["response"].clear()
    assert api.client.get("/openapi.json").json() == api.document.document


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/v1/health"])
def test_what_is_public_answers_as_documented(api: Api, path: str) -> None:
    assert api.client.get(path).status_code in {200, 503}
