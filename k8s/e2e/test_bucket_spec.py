"""What the API server refuses of a Bucket, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import ClusterError, Namespace
from stores import Store, bucket

ADDRESS = "write http:// or https://, a host and perhaps a port, and nothing behind it"
CHARACTERS = "lower-case letters, digits, dots and hyphens only"
ENDS = "begins and ends with a letter or a digit"
DOTS = "no dot beside another dot or a hyphen"
LENGTH = "3 to 63 characters"
KEPT_BEGINNINGS = "S3 keeps names that begin with xn--, sthree- and amzn-s3-demo- for itself"
KEPT_ENDS = "S3 keeps names that end with -s3alias, --ol-s3, .mrap, --x-s3 and --table-s3 for itself"
NAMES = {
    "ab": LENGTH,
    "Bucket": CHARACTERS,
    "under_score": CHARACTERS,
    "-hyphen": ENDS,
    "hyphen-": ENDS,
    ".dot": ENDS,
    "two..dots": DOTS,
    "dot.-hyphen": DOTS,
    "hyphen-.dot": DOTS,
    "192.168.5.4": "not written as an IP address",
    "xn--name": KEPT_BEGINNINGS,
    "sthree-name": KEPT_BEGINNINGS,
    "amzn-s3-demo-name": KEPT_BEGINNINGS,
    "name-s3alias": KEPT_ENDS,
    "name--ol-s3": KEPT_ENDS,
    "name.mrap": KEPT_ENDS,
    "name--x-s3": KEPT_ENDS,
    "name--table-s3": KEPT_ENDS,
    "a" * 64: "63",
}
RULE = "a lifecycle rule needs expireAfterDays, expireNoncurrentAfterDays or abortUploadsAfterDays"
ORIGINS = {"allowedOrigins": ["*"], "allowedMethods": ["GET"]}
SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "a lifecycle rule without an action": ({"lifecycle": [{"id": "a", "prefix": "tmp/"}]}, RULE),
    "two lifecycle rules of one id": (
        {"lifecycle": [{"id": "a", "expireAfterDays": 1}] * 2},
        "each lifecycle rule needs an id of its own",
    ),
    "zero days": ({"lifecycle": [{"id": "a", "expireAfterDays": 0}]}, "greater than or equal to 1"),
    "cors without an origin": ({"cors": [ORIGINS | {"allowedOrigins": []}]}, "at least 1 items"),
    "cors of another method": ({"cors": [ORIGINS | {"allowedMethods": ["PATCH"]}]}, "supported values"),
    "a quota in words": ({"quota": "10 GB"}, "quota"),
    "a quota with leading zeros": ({"quota": "010Gi"}, "quota"),
    "a policy of another name": ({"deletionPolicy": "Recycle"}, "supported values"),
    "another adoption": ({"adopt": "Always"}, "supported values"),
    "versioning disabled": ({"versioning": "Disabled"}, "supported values"),
    "an overlap in days": ({"rotationOverlap": "1d"}, "rotationOverlap"),
    "two accesses with one secretName": (
        {"access": [{"name": "a", "secretName": "s"}, {"name": "b", "secretName": "s"}]},
        "each access needs a secretName of its own",
    ),
    "two accesses of one name": (
        {"access": [{"name": "a", "secretName": "s"}, {"name": "a", "secretName": "t"}]},
        "duplicate entries",
    ),
    "another mode": ({"access": [{"name": "a", "secretName": "s", "mode": "Admin"}]}, "supported values"),
    "accounts of another kind": ({"store": {"accounts": "None"}}, "supported values"),
    "a bucket's name as the store's path": ({"store": {"endpoint": "http://minio:9000/bucket"}}, ADDRESS),
    "an endpoint with a slash": ({"store": {"endpoint": "http://minio:9000/"}}, ADDRESS),
    "an endpoint without a scheme": ({"store": {"endpoint": "minio:9000"}}, ADDRESS),
    "another scheme": ({"store": {"endpoint": "s3://bucket"}}, ADDRESS),
    "keys in the endpoint": ({"store": {"endpoint": "http://key:secret@minio:9000"}}, ADDRESS),
    "a public endpoint with a path": ({"store": {"publicEndpoint": "https://s3.example.org/x"}}, ADDRESS),
}


def refusal(stage: Namespace, body: dict[str, Any]) -> str:
    try:
        stage.apply(body, dry_run=True)
    except ClusterError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_s3_does_not_take_is_refused(stage: Namespace, name: str) -> None:
    body = bucket("any", Store(stage, "minio"), bucketName=name)
    assert NAMES[name] in refusal(stage, body)


@pytest.mark.parametrize("name", ["abc", "a" * 63, "a-b.c-d.1", "123", "1.2.3"])
def test_a_name_that_s3_takes_is_taken(stage: Namespace, name: str) -> None:
    assert refusal(stage, bucket("any", Store(stage, "minio"), bucketName=name)) == ""


@pytest.mark.parametrize("case", SPECS)
def test_a_mistake_in_a_spec_is_told_in_words(stage: Namespace, case: str) -> None:
    spec, message = SPECS[case]
    assert message in refusal(stage, bucket("any", Store(stage, "minio"), **spec))


@pytest.mark.parametrize("endpoint", ["http://[fd00::1]:9000", "https://s3.example.org", "http://10.0.0.1:80"])
def test_an_endpoint_may_be_any_host(stage: Namespace, endpoint: str) -> None:
    assert refusal(stage, bucket("any", Store(stage, "minio"), store={"endpoint": endpoint})) == ""


def test_the_bucket_of_a_bucket_cannot_change(stage: Namespace, unique: str) -> None:
    store = Store(stage, "nowhere")
    stage.apply(bucket(unique, store))
    changed = refusal(stage, bucket(unique, store, bucketName=f"{unique}-other"))
    assert "make a new Bucket for another one" in changed
