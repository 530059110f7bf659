"""Files that go up with one request, over every store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from httpx2 import Response

from app.artifacts.storage import content_disposition
from app.settings import Settings
from tests.support.api import problem_of, wrong_fields
from tests.support.artifacts import (
    ANOTHER_SHA256,
    DATA,
    Depot,
    announcement,
    running_depot,
    sha256,
    with_artifacts,
)
from tests.support.conformance import Document
from tests.support.object_store import start_moto
from tests.support.settings import store_settings
from tests.support.tools import wait_until

FILE_NAME = 'Höhe "3", Größe №4.jpg'
OTHER_BYTES = b"A FIELD PHOTO"


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The store; a test that names none runs over all."""
    kind: str = getattr(request, "param", "local")
    return kind


@pytest.fixture
def dialect(kind: str) -> str:
    return "sqlite" if kind == "local" else "postgresql"


@pytest.fixture
def store_of_kind(settings: Settings, kind: str, request: pytest.FixtureRequest) -> Settings:
    if kind == "local":
        return settings
    store = request.getfixturevalue({"moto": "moto_store", "checking": "checking_store"}[kind])
    return settings.model_copy(update={"artifacts": store_settings(store)})


@pytest.fixture
def depot(store_of_kind: Settings, document: Document) -> Iterator[Depot]:
    with running_depot(store_of_kind, document) as depot:
        yield depot


@pytest.fixture
def brief_depot(store_of_kind: Settings, document: Document) -> Iterator[Depot]:
    """Its URLs live for a second."""
    settings = with_artifacts(store_of_kind, url_expires_seconds=timedelta(seconds=1))
    with running_depot(settings, document) as depot:
        yield depot


every_store = pytest.mark.parametrize("kind", ["local", "moto", "checking"], indirect=True)
# The stores that check what they are sent: moto believes everything.
strict_stores = pytest.mark.parametrize("kind", ["local", "checking"], indirect=True)
only_moto = pytest.mark.parametrize("kind", ["moto"], indirect=True)


def assert_failed(artifact: dict[str, Any], why: str) -> None:
    assert (artifact["state"], artifact["failure"]) == ("failed", why)


def is_refused(answer: Response) -> bool:
    return 400 <= answer.status_code < 500


@every_store
@pytest.mark.parametrize("data", [DATA, b""], ids=["bytes", "empty"])
def test_a_file_comes_down_as_it_went_up_under_its_own_name(depot: Depot, data: bytes) -> None:
    made = depot.announce_and_send(data, file_name=FILE_NAME, media_type="image/png")
    completed = depot.complete(made)

    artifact = depot.ended(made)
    answer = depot.send(depot.download(made))

    assert (completed.status_code, completed.json()["state"]) in {(200, "available"), (202, "verifying")}
    assert (artifact["state"], artifact["failure"]) == ("available", None)
    assert answer.content == data
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == content_disposition(FILE_NAME)
    assert unquote(answer.headers["content-disposition"]).endswith(FILE_NAME)


@strict_stores
def test_what_a_store_has_checked_is_available_at_once(depot: Depot) -> None:
    completed = depot.complete(depot.announce_and_send())

    assert (completed.status_code, completed.json()["state"]) == (200, "available")


@strict_stores
@pytest.mark.parametrize("sent", [OTHER_BYTES, DATA[:-1], DATA + b"!"], ids=["other", "fewer", "more"])
def test_other_bytes_are_refused_by_the_store_and_the_right_ones_may_follow(depot: Depot, sent: bytes) -> None:
    made = depot.announce()

    assert is_refused(depot.send(made["upload"]["request"], sent))
    assert problem_of(depot.complete(made)) == (409, "upload-missing")

    depot.send(made["upload"]["request"], DATA)
    assert depot.complete(made).json()["state"] == "available"


@only_moto
def test_other_bytes_that_a_store_let_in_are_found_by_reading_them(depot: Depot) -> None:
    made = depot.announce()
    depot.send(made["upload"]["request"], OTHER_BYTES)

    assert depot.complete(made).status_code == 202
    assert_failed(depot.ended(made), "the uploaded bytes have another SHA-256")
    assert problem_of(depot.api.viewer.get(f"/artifacts/{made['id']}/download")) == (409, "artifact-state")


@only_moto
def test_another_size_that_a_store_let_in_is_told_and_the_right_one_may_follow(depot: Depot) -> None:
    made = depot.announce()
    depot.send(made["upload"]["request"], DATA + b"!")

    answer = depot.complete(made)

    assert problem_of(answer) == (422, "upload-mismatch")
    assert (answer.json()["actual"], answer.json()["expected"]) == (len(DATA) + 1, len(DATA))
    depot.send(made["upload"]["request"], DATA)
    depot.complete(made)
    assert depot.ended(made)["state"] == "available"


@every_store
def test_what_was_never_sent_cannot_be_completed(depot: Depot) -> None:
    made = depot.announce()

    assert problem_of(depot.complete(made)) == (409, "upload-missing")
    assert depot.read(made)["state"] == "pending"


@every_store
def test_completing_again_changes_nothing(depot: Depot) -> None:
    made = depot.available()

    again = depot.complete(made)

    assert (again.status_code, again.json()) == (200, made)


@every_store
def test_an_aborted_upload_is_over_and_its_bytes_are_gone(depot: Depot) -> None:
    made = depot.announce_and_send()

    assert_failed(depot.abort(made).json(), "the upload was aborted")
    assert depot.abort(made).status_code == 200

    assert depot.bytes_of(made) is None
    assert problem_of(depot.complete(made)) == (409, "artifact-state")
    assert problem_of(depot.api.editor.get(f"/artifacts/{made['id']}/upload")) == (409, "artifact-state")


def test_what_is_available_cannot_be_aborted(depot: Depot) -> None:
    made = depot.available()

    assert problem_of(depot.abort(made)) == (409, "artifact-state")
    assert depot.bytes_of(made) == DATA


@every_store
def test_deleting_takes_the_bytes_too(depot: Depot) -> None:
    made = depot.available()
    download = depot.download(made)

    assert depot.delete(made).status_code == 204

    assert problem_of(depot.api.viewer.get(f"/artifacts/{made['id']}")) == (404, "not-found")
    assert depot.bytes_of(made) is None
    assert is_refused(depot.send(download))


@pytest.mark.parametrize("kind", ["moto"], indirect=True)
def test_with_the_store_away_a_deletion_waits_for_the_reaper(settings: Settings, document: Document) -> None:
    store = start_moto()
    with running_depot(settings.model_copy(update={"artifacts": store_settings(store)}), document) as depot:
        made = depot.available()
        store.stop()

        refused = depot.delete(made)

        store.remove()
        assert problem_of(refused) == (503, "storage-unavailable")
        assert refused.headers["Retry-After"] == "2"
        assert_failed(depot.read(made), "the artifact is being deleted")


@strict_stores
def test_an_expired_upload_url_is_refused_and_may_be_renewed(brief_depot: Depot) -> None:
    made = brief_depot.announce()
    request = made["upload"]["request"]
    wait_until(lambda: is_refused(brief_depot.send(request, DATA)), timeout_seconds=5, what="the end of the URL's life")
    brief_depot.storage.delete(f"artifacts/{made['id']}")

    # A second may be over before the URL is used.
    wait_until(
        lambda: brief_depot.send(brief_depot.upload(made)["request"], DATA).is_success,
        timeout_seconds=10,
        what="an upload by a renewed URL",
    )

    assert brief_depot.complete(made).json()["state"] == "available"


@strict_stores
@pytest.mark.parametrize(
    ("old", "new"),
    [("photo.jpg", "photo.exe"), ("artifacts/", "artifacts/0"), ("=image%2F", "=text%2F")],
    ids=["name", "key", "type"],
)
def test_a_changed_download_url_is_refused(depot: Depot, old: str, new: str) -> None:
    request = depot.download(depot.available())
    changed = request | {"url": request["url"].replace(old, new)}

    assert changed["url"] != request["url"]
    assert depot.send(changed).status_code == 403


@strict_stores
def test_a_url_counts_for_its_method_only(depot: Depot) -> None:
    made = depot.available()
    download = depot.download(made)

    assert depot.send(download | {"method": "PUT"}, OTHER_BYTES).status_code == 403
    assert depot.bytes_of(made) == DATA


def test_a_refused_url_is_explained_as_a_problem(depot: Depot) -> None:
    request = depot.announce()["upload"]["request"]

    assert problem_of(depot.send(request | {"url": request["url"] + "0"}, DATA)) == (403, "url-invalid")


def test_a_repeated_announcement_gets_the_first_ones_answer_whatever_became_of_it(depot: Depot) -> None:
    key = {"Idempotency-Key": "photo-1"}
    made = depot.announce(headers=key)
    assert depot.announce(headers=key)["upload"]["kind"] == "single"

    depot.send(made["upload"]["request"], DATA)
    depot.complete(made)
    completed = depot.announce(headers=key)
    depot.delete(made)
    deleted = depot.announce(headers=key)

    assert (completed["id"], completed["upload"]) == (made["id"], None)
    assert (deleted["id"], deleted["upload"]) == (made["id"], None)


def test_viewers_download_and_do_nothing_else(depot: Depot) -> None:
    made = depot.available()
    viewer = depot.api.viewer

    assert viewer.post("/artifacts", json=announcement(DATA)).status_code == 403
    for action in ("complete", "abort", "parts"):
        body = {"parts": [{"number": 1, "sha256": sha256(DATA)}]}
        assert viewer.post(f"/artifacts/{made['id']}/{action}", json=body).status_code == 403
    assert viewer.delete(f"/artifacts/{made['id']}").status_code == 403
    assert depot.send(depot.download(made)).content == DATA


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({"size_bytes": -1}, ("body.size_bytes", "greater_than_equal")),
        ({"size_bytes": 2**63}, ("body.size_bytes", "less_than_equal")),
        ({"size_bytes": 10**400}, ("body.size_bytes", "less_than_equal")),
        ({"sha256": ANOTHER_SHA256.upper()}, ("body.sha256", "string_pattern_mismatch")),
        ({"file_name": "../etc/passwd"}, ("body.file_name", "string_pattern_mismatch")),
        ({"file_name": "a\r\nb"}, ("body.file_name", "string_pattern_mismatch")),
        ({"media_type": "text/html; charset=x"}, ("body.media_type", "string_pattern_mismatch")),
        ({"state": "available"}, ("body.state", "extra_forbidden")),
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(
    depot: Depot, members: dict[str, Any], wrong: tuple[str, str]
) -> None:
    answer = depot.api.editor.post("/artifacts", json=announcement(DATA, **members))

    assert wrong_fields(answer) == [wrong]


def test_more_than_an_artifact_may_have_is_refused_with_the_limit(depot: Depot) -> None:
    limit = 50 * 1024**3

    answer = depot.api.editor.post("/artifacts", json=announcement(DATA, size_bytes=limit + 1))

    assert problem_of(answer) == (422, "artifact-too-large")
    assert answer.json()["limit"] == limit
    assert depot.announce(size_bytes=limit)["upload"]["part_count"] == 3200


def test_each_step_leaves_its_trace(depot: Depot) -> None:
    made = depot.available()
    depot.delete(made)

    events = depot.api.admin.listed("/audit-events", subject_id=made["id"])

    assert sorted(event["action"] for event in events) == ["artifact.complete", "artifact.create", "artifact.delete"]
