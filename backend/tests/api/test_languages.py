"""Errors speak English or German, as the client accepts; what programs read stays the same."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import Response

from app.models import UserRole
from tests.support.api import Api, one_database, point, site, task

WRONG: dict[str, tuple[str, str, Any]] = {
    "missing": ("POST", "/tasks", {}),
    "unknown member": ("POST", "/tasks", task(tittle="x")),
    "too short": ("POST", "/tasks", task(title="")),
    "NUL": ("POST", "/tasks", task(title="\0")),
    "enum": ("POST", "/tasks", task(status="done")),
    "no zone": ("POST", "/tasks", task(due_at="2026-11-30T08:00:00")),
    "no ISO 8601": ("POST", "/tasks", task(due_at=7)),
    "no time": ("POST", "/tasks", task(due_at="2026-99-99T08:00:00Z")),
    "long ago": ("POST", "/tasks", task(due_at="0007-01-01T00:00:00Z")),
    "no UUID": ("GET", "/tasks/7", None),
    "no e-mail": ("POST", "/users", {"email": "ada", "password": "long enough"}),
    "password": ("POST", "/users", {"email": "ada@example.com", "password": "long enough\0"}),
    "JSON": ("POST", "/sites", site(properties={"a": "\0"})),
    "deep JSON": (
        "POST",
        "/sites",
        site(properties={"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}),
    ),
    "geometry": ("POST", "/sites", site(point(200, 0))),
    "kind of geometry": ("POST", "/sites", site({"type": "Circle"})),
    "no object": ("POST", "/sites", []),
    "bbox": ("GET", "/sites?bbox=1,2,3", None),
    "near": ("GET", "/sites?near=1,2,-3", None),
    "limit": ("GET", "/tasks?limit=0", None),
    "sort": ("GET", "/tasks?sort=id", None),
    "boolean": ("GET", "/tasks?overdue=perhaps", None),
}


def send(api: Api, name: str, language: str) -> Response:
    method, path, body = WRONG[name]
    return api.admin.request(method, path, json=body, headers={"Accept-Language": language})


@one_database
@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_field_is_told_in_german_too(api: Api, name: str) -> None:
    english, german = send(api, name, "en"), send(api, name, "de-AT, en;q=0.7")
    assert english.status_code == german.status_code == 422
    assert (english.headers["Content-Language"], german.headers["Content-Language"]) == ("en", "de")
    assert english.headers["Vary"] == german.headers["Vary"] == "Accept-Language"
    for told, translated in zip(english.json()["errors"], german.json()["errors"], strict=True):
        assert (told["loc"], told["type"]) == (translated["loc"], translated["type"])
        assert told["message"] != translated["message"]


@one_database
def test_titles_and_details_are_translated_and_types_are_not(api: Api) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    german = {"Accept-Language": "de"}
    answers = [
        api.anonymous.get(where, headers=german),
        api.viewer.delete(where, headers=german),
        api.editor.delete(where, headers=german | {"If-Match": '"9"'}),
        api.editor.post("/tasks", content=b"x", headers=german | {"Content-Type": "text/plain"}),
        api.login("nobody@example.com", headers=german),
        api.anonymous.get("/nowhere", headers=german),
    ]
    assert [answer.json()["title"] for answer in answers] == [
        "Nicht angemeldet",
        "Keine Berechtigung",
        "Die Version stimmt nicht überein",
        "Medientyp nicht unterstützt",
        "Anmeldung fehlgeschlagen",
        "Nicht gefunden",
    ]
    assert [answer.json()["type"].rpartition("/")[2] for answer in answers] == [
        "invalid-token",
        "permission-denied",
        "version-mismatch",
        "unsupported-media-type",
        "invalid-credentials",
        "no-such-address",
    ]


@one_database
def test_an_unknown_language_is_answered_in_english(api: Api) -> None:
    answer = api.user(UserRole.VIEWER).get("/nowhere", headers={"Accept-Language": "fr, zh;q=0.5"})
    assert (answer.headers["Content-Language"], answer.json()["title"]) == ("en", "Not found")
