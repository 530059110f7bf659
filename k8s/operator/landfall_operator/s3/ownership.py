"""Whose a bucket is: kept in its tags, so that nothing that somebody else made is ever deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from landfall_operator.constants import GROUP
from landfall_operator.resource import Bucket
from landfall_operator.s3.errors import StoreError

TAG_BUCKET = f"{GROUP}/bucket"
TAG_UID = f"{GROUP}/uid"
TAG_CLUSTER = f"{GROUP}/cluster"
TAG_ORIGIN = f"{GROUP}/origin"

Origin = Literal["Created", "Adopted"]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who a bucket belongs to: `bucket` is NAMESPACE/NAME of the resource, `cluster` tells clusters apart."""

    bucket: str
    uid: str
    cluster: str

    def tags(self, origin: Origin) -> dict[str, str]:
        return {TAG_BUCKET: self.bucket, TAG_UID: self.uid, TAG_CLUSTER: self.cluster, TAG_ORIGIN: origin}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is by a bucket's name; `tags` is None where the server has no tagging."""

    exists: bool
    tags: Mapping[str, str] | None = None
    empty: bool | None = None  # as far as it was asked

    @property
    def owner(self) -> Owner | None:
        tags = self.tags or {}
        if TAG_BUCKET not in tags:
            return None
        return Owner(bucket=tags[TAG_BUCKET], uid=tags.get(TAG_UID, ""), cluster=tags.get(TAG_CLUSTER, ""))

    @property
    def origin(self) -> Origin | None:
        found = (self.tags or {}).get(TAG_ORIGIN)
        return "Created" if found == "Created" else "Adopted" if found == "Adopted" else None


Whose = Literal["Nobody", "Ours", "Created", "Adopted"]


def whose(bucket: Bucket, seen: Seen, owner: Owner, *, lives: Callable[[Owner], bool]) -> Whose:
    """Nobody: there is none; Created, Adopted: it is to be claimed so. Raises `StoreError` for another's bucket.

    `lives` tells whether another owner may still be there.
    """
    status, endpoint, other = bucket.status, bucket.spec["store"]["endpoint"], seen.owner
    if not seen.exists:
        return "Nobody"
    if other is not None and other.cluster == owner.cluster and owner.bucket == other.bucket:
        return "Ours" if other.uid == owner.uid else seen.origin or "Adopted"
    if other is not None and other.uid == owner.uid:
        return "Ours"  # the cluster has another CA since
    if seen.tags is None and status.get("origin") and status.get("endpoint") == endpoint:
        return "Ours"
    if other is None and status.get("creating") == endpoint and seen.empty:
        return "Created"  # and killed before it could be claimed
    if bucket.spec["adopt"] == "IfExists" and (other is None or not lives(other)):
        return "Adopted"
    raise StoreError(reason="BucketForeign", message=_foreign(bucket, other))


def _foreign(bucket: Bucket, other: Owner | None) -> str:
    name = bucket.spec["bucketName"]
    if other is None:
        return (
            f"The bucket {name} is there already, and no Bucket made it. "
            "Set spec.adopt to IfExists to take it as this one's own, or take another bucketName."
        )
    return (
        f"The bucket {name} belongs to the Bucket {other.bucket}. Use that one, or take another bucketName; where that "
        f"Bucket is gone for good, remove the tags {GROUP}/* from the bucket, and set spec.adopt to IfExists."
    )
