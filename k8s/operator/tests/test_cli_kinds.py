"""What `kubectl landfall` says of Buckets and Credentials: bodies in, lines out."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW

from landfall_operator.cli import show_bucket, show_credential
from landfall_operator.cli.cluster import BUCKET, CREDENTIAL, MIGRATION, Kind, RefusalError
from landfall_operator.cli.finding import listed, parsed, reference
from landfall_operator.cli.terminal import Terminal
from landfall_operator.cli.waiting import look, why_no_rotation
from landfall_operator.conditions import Kind as VerdictKind
from landfall_operator.conditions import Verdict, conditions
from landfall_operator.constants import ANNOTATION_RETRY, ANNOTATION_ROTATE

TERMINAL = Terminal(now=NOW)
READER = {"name": "reader", "mode": "ReadOnly", "secretName": "media-reader"}
WRITER = {"name": "writer", "mode": "ReadWrite", "secretName": "media-writer"}


def _body(kind: str, spec: dict[str, Any], verdict: Verdict, annotations: dict[str, str] | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "namespace": "shop",
            "name": "media",
            "generation": 2,
            "creationTimestamp": "2026-11-18T12:00:00Z",
            "annotations": annotations or {},
        },
        "spec": spec,
        "status": {
            "observedGeneration": 2,
            "conditions": conditions(verdict, previous=[], generation=2, now=NOW),
        },
    }


def bucket(
    kind: VerdictKind = "ready",
    reason: str = "Ready",
    message: str = "The bucket is as it should be.",
    *,
    annotations: dict[str, str] | None = None,
    store: dict[str, Any] | None = None,
    access: list[dict[str, Any]] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A Bucket of generation 2 that was looked at."""
    endpoint = {"endpoint": "http://minio:9000", "region": "us-east-1", "forcePathStyle": True, "accounts": "Scoped"}
    spec = {
        "store": {**endpoint, "credentialsSecretRef": {"name": "minio-root"}, **(store or {})},
        "bucketName": "media-files",
        "deletionPolicy": "Retain",
        "rotationOverlap": "2h",
        "access": [READER, WRITER] if access is None else access,
    }
    made = _body("Bucket", spec, Verdict(kind=kind, reason=reason, message=message), annotations)
    made["status"] |= status
    return made


def credential(*, annotations: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    """A Credential of generation 2 that was looked at."""
    values = {"user": {"value": "api"}, "password": {"generate": {"length": 32}}}
    spec = {"secretName": "api-db", "values": values, "deletionPolicy": "Retain", "onLoss": "Fail"}
    made = _body("Credential", spec, Verdict(kind="ready", reason="Ready", message="It is there."), annotations)
    made["status"] |= {"keys": ["password", "user"]} | status
    return made


def text(lines: list[str]) -> str:
    return "\n".join(lines)


# NAME and KIND/NAME


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        ("media", None, "media"),
        ("bucket/media", BUCKET, "media"),
        ("buckets/media", BUCKET, "media"),
        ("bkt/media", BUCKET, "media"),
        ("Bucket/media", BUCKET, "media"),
        ("bucket.landfall.dev/media", BUCKET, "media"),
        ("credential/db", CREDENTIAL, "db"),
        ("cred/db", CREDENTIAL, "db"),
        ("mig/api", MIGRATION, "api"),
    ],
)
def test_a_kind_goes_by_every_name_that_kubectl_takes(words: str, kind: Kind | None, name: str) -> None:
    assert parsed(words) == (kind, name)


@pytest.mark.parametrize("words", ["pod/media", "bucket/", "/media", "bucket/a/b"])
def test_a_kind_that_is_none_of_ours_is_told_with_those_that_are(words: str) -> None:
    with pytest.raises(RefusalError, match="write migration/NAME, bucket/NAME or credential/NAME"):
        parsed(words)


def test_words_are_listed_as_people_do() -> None:
    assert [listed(words, "or") for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
    assert reference(bucket()) == "bucket/media"


# status


def test_a_bucket_is_a_line_of_its_list() -> None:
    lines = show_bucket.everything([bucket()], TERMINAL, namespaces=False)
    assert lines[0].split()[:7] == ["NAME", "BUCKET", "ENDPOINT", "POLICY", "ACCESSES", "READY", "AGE"]
    assert lines[1].split()[:7] == ["media", "media-files", "http://minio:9000", "Retain", "2", "True", "3d"]


def test_a_bucket_in_full_tells_where_it_is_and_whose() -> None:
    shown = text(show_bucket.one(bucket(origin="Adopted"), TERMINAL))
    for words in ("shop/media", "http://minio:9000, region us-east-1", "media-files", "Adopted", "Retain", "Scoped"):
        assert words in shown


def test_an_access_tells_its_keys_by_id_and_until_when_the_last_one_works() -> None:
    made = bucket()
    old = {"previousAccessKeyId": "OLD", "previousUntil": "2026-11-21T13:00:00Z"}
    made["status"]["access"] = [{"name": "reader", "accessKeyId": "NEW", **old}]
    rows = [line.split() for line in show_bucket.one(made, TERMINAL)]
    assert ["reader", "ReadOnly", "media-reader", "NEW", "OLD", "until", "2026-11-21T13:00:00Z"] in rows
    assert ["writer", "ReadWrite", "media-writer", "-", "-"] in rows


def test_a_bucket_tells_the_conditions_that_leave_it_ready() -> None:
    made = bucket()
    for kind, status, message in (
        ("FeaturesSupported", "False", "It lacks: cors."),
        ("QuotaExceeded", "True", "Full."),
    ):
        made["status"]["conditions"].append({"type": kind, "status": status, "reason": "X", "message": message})
    lines = show_bucket.one(made, TERMINAL)
    assert {"  FeaturesSupported False: It lacks: cors.", "  QuotaExceeded True: Full."} <= set(lines)
    assert text(lines).count("as it should be") == 1


def test_a_deletion_that_hangs_is_told() -> None:
    made = bucket("stalled", "BucketNotEmpty", "3 objects are in it.")
    made["metadata"]["deletionTimestamp"] = "2026-11-21T11:55:00Z"
    assert "asked for 5m ago" in text(show_bucket.one(made, TERMINAL))


def test_a_bucket_that_nobody_has_looked_at_is_shown_all_the_same() -> None:
    fresh = bucket() | {"status": {}}
    assert "Unknown" in text(show_bucket.one(fresh, TERMINAL))
    assert len(show_bucket.everything([fresh], TERMINAL, namespaces=True)) == 2


def test_a_credential_in_full_tells_its_keys_by_name_and_when_they_changed() -> None:
    shown = text(show_credential.one(credential(unlistedKeys=["old"], rotatedAt="2026-11-21T11:00:00Z"), TERMINAL))
    for words in ("shop/media", "api-db", "password, user", "60m ago, at 2026-11-21T11:00:00Z", "  old"):
        assert words in shown
    assert "never" in text(show_credential.one(credential(), TERMINAL))


def test_a_credential_is_a_line_of_its_list() -> None:
    lines = show_credential.everything([credential()], TERMINAL, namespaces=True)
    assert lines[1].split()[:7] == ["shop", "media", "api-db", "2", "Retain", "True", "3d"]


# wait and rotate


def test_a_bucket_is_waited_for_until_it_was_looked_at_again() -> None:
    asked = {ANNOTATION_RETRY: "2026-11-21T12:00:00Z"}
    stalled = bucket("stalled", "WrongKeys", "Correct them.", annotations=asked)
    assert not look(stalled).over
    stalled["status"]["retriedFor"] = asked[ANNOTATION_RETRY]
    assert (look(stalled).over, look(stalled).ready) == (True, False)


@pytest.mark.parametrize("make", [bucket, credential])
def test_a_rotation_that_was_asked_for_is_waited_for(make: Any) -> None:
    asked = {ANNOTATION_ROTATE: "2026-11-21T12:00:00Z"}
    assert look(make(annotations=asked, rotatedFor="2026-11-20T12:00:00Z")).text.startswith(
        "the operator has not rotated"
    )
    assert look(make(annotations=asked, rotatedFor=asked[ANNOTATION_ROTATE])).ready


def test_a_rotation_that_cannot_be_is_not_waited_for() -> None:
    asked = {ANNOTATION_ROTATE: "2026-11-21T12:00:00Z"}
    assert look(bucket(annotations=asked, store={"accounts": "Shared"})).ready
    assert look(bucket("stalled", "WrongKeys", annotations=asked)).over


def test_what_has_nothing_to_rotate_says_what_to_do_instead() -> None:
    assert why_no_rotation(bucket()) is None
    assert why_no_rotation(credential()) is None
    assert "Secret minio-root" in (why_no_rotation(bucket(store={"accounts": "Shared"})) or "")
    assert "spec.access" in (why_no_rotation(bucket(access=[])) or "")
    given = credential()
    given["spec"]["values"] = {"user": {"value": "api"}}
    assert "nothing of it is generated" in (why_no_rotation(given) or "")


def test_who_asks_for_a_rotation_is_told_what_it_does() -> None:
    said = text(show_bucket.rotation(bucket()))
    assert "media-reader, media-writer" in said
    assert "2h" in said
    assert "end now" not in said
    within = bucket()
    within["status"]["access"] = [{"name": "reader", "previousAccessKeyId": "OLD"}]
    assert "OLD of reader, end now" in text(show_bucket.rotation(within))
    said = text(show_credential.rotation(credential()))
    assert "password" in said
    assert "user" not in said
    assert ".previous" in said
