"""Tasks: created, read, replaced, changed and deleted."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.api import Api, one_database, problem_of, site, task, wrong_fields

NOBODY = str(uuid.UUID(int=7))


def test_a_new_task_has_defaults_and_belongs_to_who_made_it(api: Api) -> None:
    answer = api.editor.post("/tasks", json={"title": "Read the meter"})
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/api/v1/tasks/{made['id']}")
    assert {name: value for name, value in made.items() if name not in {"id", "created_at", "updated_at"}} == {
        "owner_id": api.editor.id,
        "site_id": None,
        "title": "Read the meter",
        "description": "",
        "status": "pending",
        "priority": "normal",
        "tags": [],
        "due_at": None,
        "completed_at": None,
        "version": 1,
    }
    assert api.viewer.read(f"/tasks/{made['id']}") == made


def test_a_task_keeps_what_it_was_given(api: Api) -> None:
    place = api.editor.create("/sites", site())["id"]
    given = task(
        title='Ä "quoted" \\ title \u2028 \U0001f6b0',
        description="two\nlines\tand a tab",
        status="in_progress",
        priority="urgent",
        tags=["north", "größe", "a,b", '"'],
        site_id=place,
        owner_id=api.viewer.id,
    )
    made = api.editor.create("/tasks", given)
    assert {name: made[name] for name in given} == given


def test_a_repeated_tag_is_kept_once(api: Api) -> None:
    assert api.editor.create("/tasks", task(tags=["b", "a", "b"]))["tags"] == ["b", "a"]


def test_times_are_answered_in_utc(api: Api) -> None:
    made = api.editor.create("/tasks", task(due_at="2026-11-30T08:00:00.5+02:00"))
    assert made["due_at"] == "2026-11-30T06:00:00.500000Z"


@one_database
@pytest.mark.parametrize(
    "due_at", ["2026-11-30T08:00:00", "2026-11-30", 1_800_000_000, "1900000000", "1500-01-01T00:00Z"]
)
def test_a_time_is_iso_8601_with_a_zone_within_reason(api: Api, due_at: Any) -> None:
    ((where, _),) = wrong_fields(api.editor.post("/tasks", json=task(due_at=due_at)))
    assert where == "body.due_at"


@one_database
@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"title": ""}, ("body.title", "string_too_short")),
        ({"title": "x" * 201}, ("body.title", "string_too_long")),
        ({"title": "a\0b"}, ("body.title", "string_pattern_mismatch")),
        ({"title": None}, ("body.title", "string_type")),
        ({"status": "done"}, ("body.status", "enum")),
        ({"priority": 1}, ("body.priority", "enum")),
        ({"tags": [""]}, ("body.tags.0", "string_too_short")),
        ({"tags": ["x"] * 51}, ("body.tags", "too_long")),
        ({"site_id": "here"}, ("body.site_id", "uuid_parsing")),
        ({"completed_at": None}, ("body.completed_at", "extra_forbidden")),
        ({"tittle": "x"}, ("body.tittle", "extra_forbidden")),
    ],
)
def test_a_wrong_or_unknown_member_is_named(api: Api, wrong: dict[str, Any], fault: tuple[str, str]) -> None:
    assert wrong_fields(api.editor.post("/tasks", json=task(**wrong))) == [fault]


@one_database
def test_half_a_surrogate_pair_is_refused(api: Api) -> None:
    content = b'{"title": "a\\ud800"}'
    answer = api.editor.post("/tasks", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize("member", ["owner_id", "site_id"])
def test_a_reference_must_exist(api: Api, member: str) -> None:
    made = api.editor.create("/tasks", task())
    for answer in (
        api.editor.post("/tasks", json=task(**{member: NOBODY})),
        api.editor.patch(f"/tasks/{made['id']}", json={member: NOBODY}),
    ):
        assert problem_of(answer) == (409, "invalid-reference")
    assert api.editor.read(f"/tasks/{made['id']}") == made


def test_a_replacement_resets_what_it_leaves_out_but_the_owner(api: Api) -> None:
    made = api.editor.create("/tasks", task(description="long", tags=["a"], priority="high", owner_id=api.viewer.id))
    replaced = api.editor.put(f"/tasks/{made['id']}", json={"title": "New"}).json()
    changed = {"title": "New", "description": "", "tags": [], "priority": "normal", "version": 2}
    assert replaced == made | changed | {"updated_at": replaced["updated_at"]}


def test_a_patch_changes_what_it_names_only(api: Api) -> None:
    made = api.editor.create("/tasks", task(description="long", tags=["a"], due_at="2030-01-01T00:00:00Z"))
    patched = api.editor.patch(f"/tasks/{made['id']}", json={"title": "New", "due_at": None}).json()
    changed = {"title": "New", "due_at": None, "version": 2}
    assert patched == made | changed | {"updated_at": patched["updated_at"]}
    assert patched["updated_at"] > made["updated_at"]


def test_a_patch_that_changes_nothing_leaves_the_version(api: Api) -> None:
    made = api.editor.create("/tasks", task())
    assert api.editor.patch(f"/tasks/{made['id']}", json={}).json() == made
    assert api.editor.patch(f"/tasks/{made['id']}", json={"title": made["title"]}).json() == made


@one_database
@pytest.mark.parametrize("member", ["title", "description", "status", "priority", "tags", "owner_id"])
def test_null_clears_only_what_may_be_null(api: Api, member: str) -> None:
    made = api.editor.create("/tasks", task())
    ((where, _),) = wrong_fields(api.editor.patch(f"/tasks/{made['id']}", json={member: None}))
    assert where == f"body.{member}"


def test_a_task_is_given_to_another_user(api: Api) -> None:
    made = api.editor.create("/tasks", task())
    assert (
        api.editor.patch(f"/tasks/{made['id']}", json={"owner_id": api.viewer.id}).json()["owner_id"] == api.viewer.id
    )


@pytest.mark.parametrize("status", ["pending", "in_progress", "cancelled"])
def test_the_time_of_completion_comes_and_goes_with_the_status(api: Api, status: str) -> None:
    before = datetime.now(UTC)
    made = api.editor.create("/tasks", task(status="completed"))
    assert before <= datetime.fromisoformat(made["completed_at"]) <= datetime.now(UTC)
    where = f"/tasks/{made['id']}"
    renamed = api.editor.patch(where, json={"title": "Done"}).json()
    assert renamed["completed_at"] == made["completed_at"]
    assert api.editor.patch(where, json={"status": status}).json()["completed_at"] is None
    again = api.editor.patch(where, json={"status": "completed"}).json()["completed_at"]
    assert again > made["completed_at"]
    assert api.editor.put(where, json=task()).json()["completed_at"] is None


def test_a_deleted_task_is_gone(api: Api) -> None:
    where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
    assert api.editor.delete(where).status_code == 204
    for answer in (
        api.editor.get(where),
        api.editor.delete(where),
        api.editor.patch(where, json={}),
        api.editor.put(where, json=task()),
    ):
        assert problem_of(answer) == (404, "not-found")


def test_a_task_outlives_its_site_and_has_a_new_version_then(api: Api) -> None:
    place = api.editor.create("/sites", site())
    made = api.editor.create("/tasks", task(site_id=place["id"]))
    assert api.editor.delete(f"/sites/{place['id']}").status_code == 204
    answer = api.editor.get(f"/tasks/{made['id']}", headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.json()["site_id"]) == (200, None)


def test_an_id_that_is_none_is_refused(api: Api) -> None:
    assert wrong_fields(api.viewer.get("/tasks/7")) == [("path.task_id", "uuid_parsing")]
