"""Keys stay what they are until a rotation is asked for, and the old ones outlive that for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bucket_builders import bucket
from builders import NOW

from landfall_operator.bucket_access import ID, KEY, Marks, from_secret, from_status, next_end, secret_data
from landfall_operator.constants import (
    ANNOTATION_PREVIOUS_KEY,
    ANNOTATION_PREVIOUS_UNTIL,
    ANNOTATION_ROTATE,
    ANNOTATION_ROTATED_FOR,
)
from landfall_operator.resource import stamp

ACCESS = {"name": "api", "mode": "ReadWrite", "secretName": "files-api"}
DATA = {ID: "AKIA1", KEY: "secret-1"}
LATER, EARLIER = NOW + timedelta(minutes=5), NOW - timedelta(seconds=1)


def asked(value: str, **changes: Any) -> Any:
    return bucket(access=[ACCESS], annotations={ANNOTATION_ROTATE: value}, **changes)


def test_keys_that_are_there_stay() -> None:
    keys = from_secret(bucket(access=[ACCESS]), ACCESS, DATA, {}, now=NOW)
    assert (keys.key_id, keys.marks) == ("AKIA1", Marks())


def test_without_a_secret_new_keys_are_due_and_the_rotation_that_was_asked_counts_as_done() -> None:
    keys = from_secret(asked("1"), ACCESS, None, {}, now=NOW)
    assert (keys.key_id, keys.marks) == (None, Marks(rotated_for="1"))


def test_a_rotation_gives_new_keys_and_lets_the_old_ones_live_for_the_overlap() -> None:
    keys = from_secret(asked("2", rotationOverlap="10m"), ACCESS, DATA, {ANNOTATION_ROTATED_FOR: "1"}, now=NOW)
    assert keys.key_id is None
    assert keys.marks == Marks(rotated_for="2", previous="AKIA1", until=NOW + timedelta(minutes=10))


def test_a_rotation_that_is_done_is_not_done_again() -> None:
    marks = Marks(rotated_for="2", previous="AKIA0", until=LATER)
    annotations = {name: text for name, text in marks.annotations().items() if text is not None}
    keys = from_secret(asked("2"), ACCESS, DATA, annotations, now=NOW)
    assert (keys.key_id, keys.marks) == ("AKIA1", marks)


def test_the_old_keys_end_with_the_overlap() -> None:
    annotations = {
        ANNOTATION_ROTATED_FOR: "2",
        ANNOTATION_PREVIOUS_KEY: "AKIA0",
        ANNOTATION_PREVIOUS_UNTIL: stamp(EARLIER),
    }
    keys = from_secret(asked("2"), ACCESS, DATA, annotations, now=NOW)
    assert keys.marks == Marks(rotated_for="2")
    assert keys.marks.annotations()[ANNOTATION_PREVIOUS_KEY] is None


def test_the_keys_of_a_secret_that_was_deleted_outlive_it_for_the_overlap() -> None:
    status = {"access": [{"name": "api", "secretName": "files-api", "accessKeyId": "AKIA1"}]}
    keys = from_secret(bucket(access=[ACCESS], status=status), ACCESS, None, {}, now=NOW)
    assert keys.key_id is None
    assert keys.marks == Marks(previous="AKIA1", until=NOW + timedelta(hours=1))


def test_the_status_tells_the_same_as_the_secret_did() -> None:
    keys = from_secret(asked("2"), ACCESS, DATA, {ANNOTATION_ROTATED_FOR: "2"}, now=NOW)
    status = {"access": [keys.status()], "rotatedFor": "2"}
    assert from_status(asked("2", status=status), now=NOW) == [keys]


def test_an_access_that_the_status_does_not_know_is_left_to_its_secret() -> None:
    assert from_status(bucket(access=[ACCESS]), now=NOW) == []


def test_the_next_look_is_due_when_the_first_of_the_old_keys_ends() -> None:
    keys = from_secret(asked("2", rotationOverlap="5s"), ACCESS, DATA, {}, now=NOW)
    assert next_end([keys], now=NOW) == 5
    assert next_end([], now=NOW) is None


def test_a_secret_has_what_the_sdks_read_and_the_public_address_where_there_is_one() -> None:
    assert secret_data(bucket(), "AKIA1", "secret-1") == {
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": "secret-1",
        "AWS_ENDPOINT_URL_S3": "http://minio:9000",
        "AWS_REGION": "us-east-1",
        "BUCKET_NAME": "shop-files",
    }
    public = bucket(store={"publicEndpoint": "https://files.example"})
    assert secret_data(public, "a", "b")["PUBLIC_ENDPOINT_URL_S3"] == "https://files.example"
