"""Only what this Bucket made, or was told to adopt, is its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from bucket_builders import ENDPOINT, bucket

from landfall_operator.resource import Bucket
from landfall_operator.s3.errors import StoreError
from landfall_operator.s3.ownership import Origin, Owner, Seen, Whose, whose

US = Owner(bucket="shop/files", uid="0001", cluster="here")
UNTAGGED, NOT_THERE, NO_TAGS = Seen(exists=True, tags={}), Seen(exists=False), Seen(exists=True, tags=None)
EMPTY, FILLED = Seen(exists=True, tags={}, empty=True), Seen(exists=True, tags={}, empty=False)
Lives = Literal["lives", "gone"]
KNOWN = {"origin": "Created", "endpoint": ENDPOINT}


def owned(origin: Origin = "Created", **changes: str) -> Seen:
    return Seen(exists=True, tags={"team": "shop"} | replace(US, **changes).tags(origin))


def judged(of: Bucket, seen: Seen, *, lives: bool = True) -> Whose | str:
    try:
        return whose(of, seen, US, lives=lambda _: lives)
    except StoreError as error:
        return error.reason


@pytest.mark.parametrize(
    ("seen", "status", "expected"),
    [
        pytest.param(NOT_THERE, {}, "Nobody", id="none"),
        pytest.param(NOT_THERE, KNOWN, "Nobody", id="deleted behind our back"),
        pytest.param(owned(), {}, "Ours", id="ours"),
        pytest.param(owned(cluster="there"), {}, "Ours", id="ours, the cluster has another CA"),
        pytest.param(owned(uid="0000"), {}, "Created", id="of a Bucket of this name before"),
        pytest.param(owned("Adopted", uid="0000"), {}, "Adopted", id="adopted by a Bucket of this name before"),
        pytest.param(owned(uid="0000", cluster="there"), {}, "BucketForeign", id="of another cluster"),
        pytest.param(owned(uid="0000", bucket="shop/other"), {}, "BucketForeign", id="of another Bucket"),
        pytest.param(UNTAGGED, {}, "BucketForeign", id="somebody else's"),
        pytest.param(UNTAGGED, KNOWN, "BucketForeign", id="the tags are gone"),
        pytest.param(EMPTY, {"creating": ENDPOINT}, "Created", id="killed between creation and claim"),
        pytest.param(FILLED, {"creating": ENDPOINT}, "BucketForeign", id="an intent, and somebody was there first"),
        pytest.param(EMPTY, {"creating": "http://other:9000"}, "BucketForeign", id="an intent at another store"),
        pytest.param(NO_TAGS, {}, "BucketForeign", id="somebody else's, no tagging"),
        pytest.param(NO_TAGS, KNOWN, "Ours", id="ours, no tagging"),
    ],
)
def test_whose_a_bucket_is(seen: Seen, status: dict[str, Any], expected: str) -> None:
    assert judged(bucket(status=status), seen) == expected


@pytest.mark.parametrize(
    ("seen", "lives", "expected"),
    [
        pytest.param(UNTAGGED, "lives", "Adopted", id="nobody's"),
        pytest.param(NO_TAGS, "lives", "Adopted", id="no tagging"),
        pytest.param(owned(uid="9", bucket="shop/other"), "lives", "BucketForeign", id="another one's that is there"),
        pytest.param(owned(uid="9", bucket="shop/other"), "gone", "Adopted", id="another one's that is gone"),
        pytest.param(owned(), "lives", "Ours", id="its own"),
    ],
)
def test_what_may_be_adopted(seen: Seen, lives: Lives, expected: str) -> None:
    assert judged(bucket(adopt="IfExists"), seen, lives=lives == "lives") == expected
