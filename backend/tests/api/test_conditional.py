"""Conditional requests: no needless bytes, and no update lost."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api import Api, problem_of, site, task
from tests.support.secrets import USER_PASSWORD

BODIES: dict[str, dict[str, Any]] = {
    "/tasks": task(),
    "/sites": site(),
    "/users": {"email": "ada@example.com", "password": USER_PASSWORD},
}
REPLACEMENTS = BODIES | {"/users": {"email": "bob@example.com", "role": "viewer", "locale": "de"}}
PATCHES: dict[str, dict[str, Any]] = {
    "/tasks": {"title": "New"},
    "/sites": {"properties": {"name": "New"}},
    "/users": {"role": "editor"},
}


@pytest.fixture(params=BODIES)
def made(request: pytest.FixtureRequest, api: Api) -> tuple[str, str]:
    """One resource of each kind: where it is, and the list that it is in."""
    noun: str = request.param
    return f"{noun}/{api.admin.create(noun, BODIES[noun])['id']}", noun


def test_each_change_gives_a_new_tag_which_a_read_has_too(api: Api, made: tuple[str, str]) -> None:
    where, noun = made
    tags = [api.admin.get(where).headers["ETag"]]
    tags.append(api.admin.patch(where, json=PATCHES[noun]).headers["ETag"])
    tags.append(api.admin.put(where, json=REPLACEMENTS[noun]).headers["ETag"])
    assert tags == ['"1"', '"2"', '"3"']
    assert api.admin.get(where).headers["ETag"] == '"3"'


@pytest.mark.parametrize("condition", ['"1"', 'W/"1"', "*", '"0", "1"', '"x",W/"1"', ' "1" '])
def test_what_the_client_has_is_not_sent_again(api: Api, condition: str) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    answer = api.viewer.get(where, headers={"If-None-Match": condition})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("condition", ['"2"', '"0", "2"', "1", '"11"', '""', ""])
def test_what_the_client_has_not_is_sent(api: Api, condition: str) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    assert api.viewer.get(where, headers={"If-None-Match": condition}).status_code == 200


def test_what_is_not_there_is_not_found_under_any_condition(api: Api) -> None:
    where = f"/tasks/{uuid.uuid4()}"
    assert api.viewer.get(where, headers={"If-None-Match": "*"}).status_code == 404
    for method in ("PUT", "PATCH", "DELETE"):
        body = {} if method == "DELETE" else {"json": task()}
        assert api.editor.request(method, where, headers={"If-Match": "*"}, **body).status_code == 404


@pytest.mark.parametrize("condition", ['"1"', "*", '"7", "1"', None])
def test_a_change_of_the_version_that_the_client_has_is_made(
    api: Api, made: tuple[str, str], condition: str | None
) -> None:
    where, noun = made
    headers = {"If-Match": condition} if condition else {}
    assert api.admin.patch(where, json=PATCHES[noun], headers=headers).status_code == 200


@pytest.mark.parametrize("condition", ['"2"', 'W/"1"', '"x"', '"01"', "1", "", '"' + "1" * 900 + '"'])
def test_a_change_of_another_version_is_refused(api: Api, made: tuple[str, str], condition: str) -> None:
    where, noun = made
    before = api.admin.read(where)
    headers = {"If-Match": condition}
    for answer in (
        api.admin.put(where, json=REPLACEMENTS[noun], headers=headers),
        api.admin.patch(where, json=PATCHES[noun], headers=headers),
        api.admin.delete(where, headers=headers),
    ):
        assert problem_of(answer) == (412, "version-mismatch")
        assert answer.json()["version"] == 1
    assert api.admin.read(where) == before


def test_of_changes_at_once_with_one_version_one_is_made(api: Api) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    ready = threading.Barrier(5)

    def change(number: int) -> int:
        ready.wait()
        return api.editor.patch(where, json={"title": f"by {number}"}, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(change, range(5))) == [200, 412, 412, 412, 412]
    assert api.editor.read(where)["version"] == 2


def test_of_changes_at_once_without_a_version_each_is_made(api: Api) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    ready = threading.Barrier(5)

    def change(number: int) -> int:
        ready.wait()
        return api.editor.patch(where, json={"title": f"by {number}"}).status_code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(change, range(5))) == {200}
    assert api.editor.read(where)["version"] == 6
