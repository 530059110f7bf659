"""Files that go up in parts, over every store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.errors import UploadMissingError
from app.settings import Settings
from tests.support.api import problem_of
from tests.support.artifacts import (
    ANOTHER_SHA256,
    DATA,
    PART,
    THREE_PARTS,
    Depot,
    key_of,
    parts_of,
    running_depot,
    upload_id_of,
    with_small_parts,
)
from tests.support.conformance import Document
from tests.support.settings import store_settings

PARTS = parts_of(THREE_PARTS)
LAST = PARTS[3]


@pytest.fixture(params=["local", "moto", "checking"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def dialect(kind: str) -> str:
    return "sqlite" if kind == "local" else "postgresql"


@pytest.fixture
def depot(settings: Settings, document: Document, kind: str, request: pytest.FixtureRequest) -> Iterator[Depot]:
    if kind != "local":
        store = request.getfixturevalue({"moto": "moto_store", "checking": "checking_store"}[kind])
        settings = settings.model_copy(update={"artifacts": store_settings(store)})
    with running_depot(with_small_parts(settings), document) as depot:
        yield depot


strict_stores = pytest.mark.parametrize("kind", ["local", "checking"], indirect=True)


def send_all(depot: Depot, made: dict[str, object]) -> None:
    for number, data in PARTS.items():
        assert depot.send_part(made, number, data).is_success


def test_parts_may_come_in_any_order_and_are_read_before_the_whole_is_available(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    assert made["upload"] == {"kind": "multipart", "part_size_bytes": PART, "part_count": 3}
    for number in (3, 1, 2):
        assert depot.send_part(made, number, PARTS[number]).is_success

    completed = depot.complete(made)

    assert (completed.status_code, completed.json()["state"]) == (202, "verifying")
    assert depot.ended(made)["state"] == "available"
    assert depot.send(depot.download(made)).content == THREE_PARTS


def test_an_interrupted_client_learns_what_has_arrived_and_sends_the_rest(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    assert depot.arrived(made) == []
    depot.send_part(made, 2, PARTS[2])

    assert depot.upload(made) == made["upload"]
    assert depot.arrived(made) == [(2, PART)]
    answer = depot.complete(made)

    assert problem_of(answer) == (409, "upload-missing")
    assert "part 1 of 3 is missing" in answer.json()["detail"]
    send_all(depot, made)
    depot.complete(made)
    assert depot.ended(made)["state"] == "available"


def test_urls_of_all_parts_come_at_once_and_again(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)

    first = depot.parts(made, PARTS).json()["parts"]
    again = depot.parts(made, PARTS).json()["parts"]

    assert [part["number"] for part in first] == [1, 2, 3]
    assert depot.send(first[0]["request"], PARTS[1]).is_success
    assert depot.send(again[0]["request"], PARTS[1]).is_success
    assert depot.arrived(made) == [(1, PART)]


def test_a_part_that_does_not_exist_is_refused_with_the_count(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)

    answer = depot.parts(made, {4: DATA})

    assert problem_of(answer) == (422, "invalid-part")
    assert answer.json()["count"] == 3


@strict_stores
def test_other_bytes_than_announced_are_refused_as_a_part(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)

    assert 400 <= depot.send_part(made, 3, LAST, b"THE REST").status_code < 500
    assert 400 <= depot.send_part(made, 3, LAST, LAST + b"!").status_code < 500

    assert depot.arrived(made) == []


def test_a_whole_that_is_not_what_was_announced_fails(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS, sha256=ANOTHER_SHA256)
    send_all(depot, made)

    assert depot.complete(made).status_code == 202

    artifact = depot.ended(made)
    assert (artifact["state"], artifact["failure"]) == ("failed", "the uploaded bytes have another SHA-256")


def test_completing_again_after_a_lost_answer_succeeds(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    send_all(depot, made)

    depot.complete(made)
    again = depot.complete(made)

    assert again.status_code in {200, 202}
    assert depot.ended(made)["state"] == "available"


def test_completing_again_succeeds_when_the_call_before_died_at_the_store(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    send_all(depot, made)
    upload_id = upload_id_of(depot, made)
    storage = depot.storage
    storage.complete_multipart(key_of(made), upload_id, parts=storage.list_parts(key_of(made), upload_id))

    assert depot.complete(made).status_code == 202
    assert depot.ended(made)["state"] == "available"


def test_an_aborted_upload_takes_no_more_parts_and_leaves_none(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    (part,) = depot.parts(made, {3: LAST}).json()["parts"]
    depot.send(part["request"], LAST)
    upload_id = upload_id_of(depot, made)

    depot.abort(made)

    with pytest.raises(UploadMissingError):
        depot.storage.list_parts(key_of(made), upload_id)
    assert not depot.send(part["request"], LAST).is_success
    assert problem_of(depot.parts(made, {1: DATA})) == (409, "artifact-state")


def test_a_deleted_upload_takes_no_more_parts(depot: Depot) -> None:
    made = depot.announce(THREE_PARTS)
    (part,) = depot.parts(made, {3: LAST}).json()["parts"]

    depot.delete(made)

    assert not depot.send(part["request"], LAST).is_success


def test_a_small_file_has_no_parts(depot: Depot) -> None:
    made = depot.announce(DATA)

    assert problem_of(depot.parts(made, {1: DATA})) == (409, "artifact-state")
    assert problem_of(depot.api.editor.get(f"/artifacts/{made['id']}/parts")) == (409, "artifact-state")


def test_the_last_part_may_be_a_whole_one(depot: Depot) -> None:
    data = b"1" * PART
    made = depot.announce(data)
    assert made["upload"]["part_count"] == 1
    depot.send_part(made, 1, data)

    depot.complete(made)

    assert depot.ended(made)["state"] == "available"
