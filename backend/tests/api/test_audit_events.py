"""The audit trail: one event a change, written with it, and kept when its subject is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import ADDRESS, Api, problem_of, site, task
from tests.support.secrets import USER_PASSWORD

CLOCK_DIGIT = timedelta(milliseconds=1)  # SQLite tells no finer
PATHS = {"site": "/sites", "task": "/tasks", "user": "/users"}


def actions(api: Api, **params: Any) -> list[str]:
    return [event["action"] for event in api.admin.listed("/audit-events", sort="occurred_at", **params)]


@pytest.mark.parametrize(
    ("noun", "body", "patch"),
    [
        ("site", site(), {"properties": {"kind": "well"}}),
        ("task", task(), {"status": "completed"}),
        ("user", {"email": "ada@example.com", "password": USER_PASSWORD}, {"password": USER_PASSWORD + "!"}),
    ],
    ids=["site", "task", "user"],
)
def test_every_change_leaves_one_event_which_outlives_its_subject(
    api: Api, noun: str, body: dict[str, Any], patch: dict[str, Any]
) -> None:
    made = api.admin.create(PATHS[noun], body)
    where = f"{PATHS[noun]}/{made['id']}"
    api.admin.patch(where, json=patch)
    api.admin.delete(where)
    events = api.admin.read("/audit-events", params={"subject_id": made["id"], "sort": "occurred_at"})
    assert [event["action"] for event in events["items"]] == [f"{noun}.create", f"{noun}.update", f"{noun}.delete"]
    assert USER_PASSWORD not in str(events)


def test_an_event_tells_who_what_when_and_from_where(api: Api) -> None:
    before = datetime.now(UTC) - CLOCK_DIGIT
    answer = api.editor.post("/tasks", json=task(), headers={"X-Request-ID": "request-7"})
    (event,) = api.admin.listed("/audit-events", subject_id=answer.json()["id"])
    assert {name: value for name, value in event.items() if name not in {"id", "occurred_at"}} == {
        "actor_id": api.editor.id,
        "action": "task.create",
        "subject_id": answer.json()["id"],
        "client": ADDRESS,
        "request_id": "request-7",
        "detail": {},
    }
    assert before <= datetime.fromisoformat(event["occurred_at"]) <= datetime.now(UTC)


def test_an_update_tells_which_fields_it_set(api: Api) -> None:
    made = api.editor.create("/tasks", task())
    api.editor.patch(f"/tasks/{made['id']}", json={"title": "New", "tags": []})
    (event,) = api.admin.listed("/audit-events", action="task.update")
    assert event["detail"] == {"fields": ["tags", "title"]}


def test_a_login_is_an_event(api: Api) -> None:
    api.login(api.viewer.email)
    (event,) = api.admin.listed("/audit-events", action="user.login")
    assert (event["actor_id"], event["client"]) == (api.viewer.id, ADDRESS)


def test_a_change_that_fails_leaves_none(api: Api) -> None:
    made = api.editor.create("/sites", site(external_id="P-7"))
    before = actions(api)
    assert api.editor.post("/sites", json=site(external_id="P-7")).status_code == 409
    assert api.editor.patch(f"/sites/{made['id']}", json={}, headers={"If-Match": '"9"'}).status_code == 412
    assert actions(api) == before


def test_events_are_found_by_actor_action_and_time(api: Api) -> None:
    first = api.editor.create("/tasks", task())
    second = api.admin.create("/tasks", task())
    assert actions(api, actor_id=api.editor.id) == ["task.create"]
    assert actions(api, action="task.update") == []
    since = {"action": "task.create", "occurred_from": second["created_at"]}
    assert [event["subject_id"] for event in api.admin.listed("/audit-events", **since)] == [second["id"]]
    until = {"action": "task.create", "occurred_before": second["created_at"]}
    assert [event["subject_id"] for event in api.admin.listed("/audit-events", **until)] == [first["id"]]


def test_the_trail_is_for_administrators(api: Api) -> None:
    assert problem_of(api.editor.get("/audit-events")) == (403, "permission-denied")


def test_the_newest_event_comes_first(api: Api) -> None:
    ids = [api.editor.create("/tasks", task())["id"] for _ in range(3)]
    assert [event["subject_id"] for event in api.admin.listed("/audit-events", action="task.create")] == ids[::-1]
