"""Users: what administrators do with them, and what users do with themselves."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.errors import PasswordWrongError
from app.models import UserRole
from app.schemas.user import UserPatch
from app.services.changes import Actor, IfMatch
from app.services.users import change_user
from app.settings import AuthSettings
from tests.support.api import Api, bearer, one_database, problem_of, site, task, wrong_fields
from tests.support.secrets import USER_PASSWORD

NEW_PASSWORD = "another long password"


def user(**members: Any) -> dict[str, Any]:
    return {"email": "ada@example.com", "password": USER_PASSWORD} | members


def test_a_new_user_is_a_viewer_who_reads_english(api: Api) -> None:
    answer = api.admin.post("/users", json=user())
    made = answer.json()
    assert answer.headers["Location"] == f"/api/v1/users/{made['id']}"
    assert {name: value for name, value in made.items() if name not in {"id", "created_at", "updated_at"}} == {
        "email": "ada@example.com",
        "role": "viewer",
        "locale": "en",
        "version": 1,
    }
    assert api.admin.read(f"/users/{made['id']}") == made


def test_an_email_is_kept_in_lower_case_and_found_in_any(api: Api) -> None:
    assert api.admin.create("/users", user(email="Ada.Lovelace@Example.COM"))["email"] == "ada.lovelace@example.com"
    assert api.login("ADA.LOVELACE@example.com").status_code == 200


def test_an_email_is_taken_in_any_case(api: Api) -> None:
    api.admin.create("/users", user())
    other = api.admin.create("/users", user(email="bob@example.com"))
    replacement = {"email": "ADA@example.com", "role": "viewer", "locale": "en"}
    for answer in (
        api.admin.post("/users", json=user(email="Ada@Example.com")),
        api.admin.patch(f"/users/{other['id']}", json={"email": "adA@example.com"}),
        api.admin.put(f"/users/{other['id']}", json=replacement),
    ):
        assert problem_of(answer) == (409, "conflict")
        assert answer.json()["field"] == "email"


@one_database
@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"email": "ada"}, ("body.email", "value_error")),
        ({"email": "a@" + "b" * 250 + ".com"}, ("body.email", "value_error")),
        ({"email": "a\0@example.com"}, ("body.email", "value_error")),
        ({"password": "too few"}, ("body.password", "password_too_short")),
        ({"password": "x" * 73}, ("body.password", "password_too_long")),
        ({"password": "ü" * 37}, ("body.password", "password_too_long")),
        ({"password": "long enough\0"}, ("body.password", "password_too_long")),
        ({"role": "owner"}, ("body.role", "enum")),
        ({"locale": "fr"}, ("body.locale", "enum")),
        ({"version": 7}, ("body.version", "extra_forbidden")),
    ],
)
def test_a_wrong_or_unknown_member_is_named(api: Api, wrong: dict[str, Any], fault: tuple[str, str]) -> None:
    answer = api.admin.post("/users", json=user(**wrong))
    assert wrong_fields(answer) == [fault]
    assert str(wrong.get("password", "never")) not in answer.text


@one_database
def test_a_password_of_half_a_surrogate_pair_is_refused(api: Api) -> None:
    content = b'{"email": "ada@example.com", "password": "long enough \\ud800"}'
    answer = api.admin.post("/users", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_a_password_of_72_bytes_is_compared_to_its_last(api: Api) -> None:
    longest = "ü" * 36
    api.admin.create("/users", user(password=longest))
    assert api.login("ada@example.com", longest).status_code == 200
    assert api.login("ada@example.com", longest[:-1] + "u").status_code == 401


def test_a_replacement_keeps_the_password_unless_it_has_one(api: Api) -> None:
    made = api.admin.create("/users", user())
    body = {"email": "countess@example.com", "role": "editor", "locale": "de"}
    assert api.admin.put(f"/users/{made['id']}", json=body).json() | body | {"version": 2} == api.admin.read(
        f"/users/{made['id']}"
    )
    assert api.login("countess@example.com").status_code == 200
    api.admin.put(f"/users/{made['id']}", json=body | {"password": NEW_PASSWORD})
    assert api.login("countess@example.com").status_code == 401
    assert api.login("countess@example.com", NEW_PASSWORD).status_code == 200


@one_database
@pytest.mark.parametrize("left_out", ["email", "role", "locale"])
def test_a_replacement_is_complete(api: Api, left_out: str) -> None:
    body = {"email": "new@example.com", "role": "editor", "locale": "de"}
    del body[left_out]
    assert wrong_fields(api.admin.put(f"/users/{api.viewer.id}", json=body)) == [(f"body.{left_out}", "missing")]


def test_a_patch_changes_what_it_names_only(api: Api) -> None:
    before = api.admin.read(f"/users/{api.viewer.id}")
    patched = api.admin.patch(f"/users/{api.viewer.id}", json={"locale": "de"}).json()
    assert patched == before | {"locale": "de", "version": 2, "updated_at": patched["updated_at"]}


@one_database
@pytest.mark.parametrize("member", ["email", "password", "role", "locale"])
def test_a_patch_takes_no_null(api: Api, member: str) -> None:
    ((where, _),) = wrong_fields(api.admin.patch(f"/users/{api.viewer.id}", json={member: None}))
    assert where == f"body.{member}"


def test_a_new_role_holds_at_once(api: Api) -> None:
    assert api.editor.post("/tasks", json=task()).status_code == 201
    api.admin.patch(f"/users/{api.editor.id}", json={"role": "viewer"})
    assert problem_of(api.editor.post("/tasks", json=task())) == (403, "permission-denied")


def test_users_read_and_change_themselves(api: Api) -> None:
    me = api.viewer.read("/users/me")
    assert (me["id"], me["email"]) == (api.viewer.id, api.viewer.email)
    body = {"locale": "de", "password": NEW_PASSWORD, "current_password": USER_PASSWORD}
    changed = api.viewer.patch("/users/me", json=body)
    assert (changed.json()["locale"], changed.json()["version"]) == ("de", 2)
    assert api.login(api.viewer.email, NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize("current", ["not the password", "", "\0", "ü" * 100])
def test_a_wrong_current_password_changes_nothing(api: Api, current: str) -> None:
    answer = api.viewer.patch("/users/me", json={"password": NEW_PASSWORD, "current_password": current})
    assert problem_of(answer) == (403, "wrong-password")
    assert api.viewer.read("/users/me")["version"] == 1
    assert api.login(api.viewer.email).status_code == 200


@one_database
@pytest.mark.parametrize("current", [{}, {"current_password": None}], ids=["left out", "null"])
def test_a_new_password_needs_the_current_one(api: Api, current: dict[str, None]) -> None:
    answer = api.viewer.patch("/users/me", json={"password": NEW_PASSWORD} | current)
    assert wrong_fields(answer) == [("body.current_password", "missing")]


def test_wrong_current_passwords_close_the_account_like_failed_logins(api: Api) -> None:
    wrong = {"password": NEW_PASSWORD, "current_password": "not the password"}
    for _ in range(AuthSettings().login_attempts):
        assert problem_of(api.viewer.patch("/users/me", json=wrong)) == (403, "wrong-password")
    right = wrong | {"current_password": USER_PASSWORD}
    assert problem_of(api.viewer.patch("/users/me", json=right)) == (429, "too-many-attempts")


def test_two_password_changes_at_once_need_the_password_of_their_moment(api: Api) -> None:
    """The second was confirmed with a password that the first has replaced meanwhile."""
    session = api.app.state.database.open_session()
    body = UserPatch.model_validate({"password": NEW_PASSWORD})
    actor = Actor(id=uuid.UUID(api.viewer.id), role=UserRole.VIEWER)
    with session, pytest.raises(PasswordWrongError):
        change_user(
            session,
            actor.user_id,
            body,
            actor=actor,
            rounds=4,
            if_match=IfMatch(versions=None),
            confirmed_hash="the one before",
        )


def test_a_new_password_ends_the_tokens_from_before(api: Api) -> None:
    own = {"password": NEW_PASSWORD, "current_password": USER_PASSWORD}
    assert api.viewer.patch("/users/me", json=own).status_code == 200
    assert api.admin.patch(f"/users/{api.editor.id}", json={"password": NEW_PASSWORD}).status_code == 200
    for caller in (api.viewer, api.editor):
        assert problem_of(caller.get("/users/me")) == (401, "invalid-token")
        token = api.login(caller.email, NEW_PASSWORD).json()["access_token"]
        assert api.anonymous.get("/users/me", headers=bearer(token)).status_code == 200


def test_a_change_without_a_password_leaves_the_token(api: Api) -> None:
    assert api.viewer.patch("/users/me", json={"locale": "de"}).status_code == 200
    assert api.viewer.get("/users/me").status_code == 200


def test_the_last_administrator_is_neither_deleted_nor_demoted(api: Api) -> None:
    own = f"/users/{api.admin.id}"
    replacement = {"email": api.admin.email, "role": "viewer", "locale": "en"}
    for answer in (
        api.admin.delete(own),
        api.admin.patch(own, json={"role": "editor"}),
        api.admin.put(own, json=replacement),
    ):
        assert problem_of(answer) == (409, "last-admin")
    assert api.admin.put(own, json=replacement | {"role": "admin"}).status_code == 200
    other = api.user("admin")
    assert api.admin.patch(own, json={"role": "editor"}).status_code == 200
    assert other.delete(own).status_code == 204
    assert problem_of(other.delete(f"/users/{other.id}")) == (409, "last-admin")


def test_administrators_who_delete_each_other_at_once_leave_one(api: Api) -> None:
    first, second = api.user("admin"), api.user("admin")
    pairs = [(first, second), (second, first)]
    with ThreadPoolExecutor(2) as pool:
        for answer in pool.map(lambda pair: pair[0].delete(f"/users/{pair[1].id}"), pairs):
            assert answer.status_code in {204, 401, 403, 409}
    left = [caller for caller in (first, second) if caller.get("/users").status_code == 200]
    assert len(left) == 1


@one_database
@pytest.mark.parametrize("member", ["role", "email", "id"])
def test_users_do_not_change_what_is_the_administrators(api: Api, member: str) -> None:
    assert wrong_fields(api.viewer.patch("/users/me", json={member: "admin"})) == [
        (f"body.{member}", "extra_forbidden")
    ]


def test_a_deleted_user_takes_their_tasks_along_and_their_token_ends(api: Api) -> None:
    theirs = api.admin.create("/tasks", task(owner_id=api.editor.id))
    assert api.admin.delete(f"/users/{api.editor.id}").status_code == 204
    assert problem_of(api.admin.get(f"/tasks/{theirs['id']}")) == (404, "not-found")
    assert problem_of(api.editor.get("/users/me")) == (401, "invalid-token")
    assert api.login(api.editor.email).status_code == 401


ARTIFACT = {"file_name": "plan.pdf", "size_bytes": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(("noun", "body"), [("sites", site()), ("artifacts", ARTIFACT)], ids=["sites", "artifacts"])
def test_a_user_with_something_of_their_own_stays(api: Api, noun: str, body: dict[str, Any]) -> None:
    theirs = api.editor.create(f"/{noun}", body)
    assert problem_of(api.admin.delete(f"/users/{api.editor.id}")) == (409, "user-in-use")
    assert api.editor.delete(f"/{noun}/{theirs['id']}").status_code == 204
    assert api.admin.delete(f"/users/{api.editor.id}").status_code == 204


def test_an_artifact_outlives_its_owners_deleted_task_and_has_a_new_version_then(api: Api) -> None:
    job = api.admin.create("/tasks", task(owner_id=api.editor.id))
    made = api.admin.create("/artifacts", ARTIFACT | {"task_id": job["id"]})
    assert api.admin.delete(f"/users/{api.editor.id}").status_code == 204
    found = api.admin.read(f"/artifacts/{made['id']}")
    assert (found["task_id"], found["version"]) == (None, 2)


def test_a_user_who_does_not_exist_is_not_found(api: Api) -> None:
    gone = f"/users/{api.viewer.id}"
    api.admin.delete(gone)
    replacement = {"email": "x@example.com", "role": "viewer", "locale": "en"}
    for answer in (
        api.admin.get(gone),
        api.admin.put(gone, json=replacement),
        api.admin.patch(gone, json={"locale": "de"}),
        api.admin.delete(gone),
    ):
        assert problem_of(answer) == (404, "not-found")
