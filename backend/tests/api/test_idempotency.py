"""Idempotency-Key: a POST that is sent again gets its first answer, and does its work once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import update

from app.models import IdempotencyKey
from tests.support.api import Api, Caller, problem_of, site, task
from tests.support.secrets import USER_PASSWORD

BODIES: dict[str, dict[str, Any]] = {
    "/tasks": task(),
    "/sites": site(),
    "/users": {"email": "ada@example.com", "password": USER_PASSWORD},
}


def send(caller: Caller, path: str, body: Any, *, key: str = "key-7") -> Response:
    return caller.post(path, json=body, headers={"Idempotency-Key": key})


def kept(answer: Response) -> dict[str, str]:
    """The headers that tell of the resource, not of the request."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


@pytest.mark.parametrize("path", BODIES)
def test_the_same_request_gets_the_same_answer_and_makes_nothing(api: Api, path: str) -> None:
    first = send(api.admin, path, BODIES[path])
    where = f"{path}/{first.json()['id']}"
    again = send(api.admin, path, BODIES[path])
    assert (again.status_code, again.content, kept(again)) == (201, first.content, kept(first))
    assert len(api.admin.listed("/audit-events", action=f"{path[1:-1]}.create", actor_id=api.admin.id)) == 1
    assert api.admin.read(where) == first.json()


def test_the_first_answer_outlives_a_change_and_the_end_of_what_it_made(api: Api) -> None:
    first = send(api.editor, "/tasks", task())
    where = f"/tasks/{first.json()['id']}"
    api.editor.patch(where, json={"title": "New"})
    assert send(api.editor, "/tasks", task()).content == first.content
    api.editor.delete(where)
    assert send(api.editor, "/tasks", task()).content == first.content
    assert api.editor.listed("/tasks") == []


def test_a_key_with_another_body_is_refused(api: Api) -> None:
    first = send(api.editor, "/tasks", task())
    assert problem_of(send(api.editor, "/tasks", task(title="Other"))) == (422, "idempotency-key-reused")
    assert send(api.editor, "/tasks", task()).content == first.content
    assert len(api.editor.listed("/tasks")) == 1


def test_a_key_at_another_address_is_refused(api: Api) -> None:
    send(api.editor, "/tasks", task())
    assert problem_of(send(api.editor, "/sites", site())) == (422, "idempotency-key-reused")


def test_each_user_has_keys_of_their_own(api: Api) -> None:
    first, second = send(api.editor, "/tasks", task()), send(api.admin, "/tasks", task())
    assert first.json()["id"] != second.json()["id"]
    assert second.json()["owner_id"] == api.admin.id


def test_another_key_makes_another(api: Api) -> None:
    send(api.editor, "/tasks", task(), key="a")
    send(api.editor, "/tasks", task(), key="b")
    assert len(api.editor.listed("/tasks")) == 2


@pytest.mark.parametrize("refused", [task(site_id=str(uuid.UUID(int=7))), task(title="")], ids=["409", "422"])
def test_a_request_that_failed_is_not_remembered(api: Api, refused: dict[str, Any]) -> None:
    assert send(api.editor, "/tasks", refused).status_code in {409, 422}
    assert send(api.editor, "/tasks", task()).status_code == 201


def test_a_key_is_forgotten_after_a_day(api: Api) -> None:
    first = send(api.editor, "/tasks", task())
    with api.app.state.database.session() as session, session.begin():
        session.execute(update(IdempotencyKey).values(created_at=datetime.now(UTC) - timedelta(hours=24, seconds=1)))
    assert send(api.editor, "/tasks", task(title="Other")).json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_has_1_to_200_characters(api: Api, key: str) -> None:
    assert problem_of(send(api.editor, "/tasks", task(), key=key)) == (422, "invalid-request")


def test_a_key_may_be_any_text_of_that_length(api: Api) -> None:
    for key in ("x" * 200, " inner space ", "'; --", "{}"):
        assert send(api.editor, "/tasks", task(), key=key).status_code == 201


def at_once(count: int, caller: Caller) -> Iterator[Response]:
    ready = threading.Barrier(count)

    def post(_: int) -> Response:
        ready.wait()
        return send(caller, "/tasks", task())

    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(post, range(count))


def test_of_ten_at_once_one_does_the_work_and_all_get_its_answer(api: Api) -> None:
    caller = api.editor
    answers = list(at_once(10, caller))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(caller.listed("/tasks")) == 1
