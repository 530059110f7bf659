"""A bucket as a whole: whose it is, and its beginning and end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from landfall_operator.s3.connection import Connection
from landfall_operator.s3.errors import StoreError, UnsupportedError, explained
from landfall_operator.s3.ownership import Origin, Owner, Seen

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MISSING = {"404", "NoSuchBucket", "NotFound"}


def look(client: S3Client, connection: Connection, name: str) -> Seen:
    """Raises `StoreError`, where somebody else's bucket may not even be looked at as well."""
    try:
        # Not HEAD, whose errors have no body to say what was wrong.
        with explained(connection, f"read the tags of the bucket {name}"):
            answer = client.get_bucket_tagging(Bucket=name)
    except UnsupportedError:
        return _untagged(client, connection, name, tags=None)
    except StoreError as error:
        if error.code == "NoSuchTagSet":  # MinIO says so of a bucket that is not there as well
            return _untagged(client, connection, name, tags={})
        if error.code in MISSING:
            return Seen(exists=False)
        raise
    if not answer["TagSet"]:
        return _untagged(client, connection, name, tags={})
    return Seen(exists=True, tags={tag["Key"]: tag["Value"] for tag in answer["TagSet"]})


def _untagged(client: S3Client, connection: Connection, name: str, *, tags: Mapping[str, str] | None) -> Seen:
    try:
        with explained(connection, f"list the bucket {name}"):
            answer = client.list_objects_v2(Bucket=name, MaxKeys=1)
    except StoreError as error:
        if error.code in MISSING:
            return Seen(exists=False)
        raise
    return Seen(exists=True, tags=tags, empty=not answer.get("Contents"))


def create(client: S3Client, connection: Connection, name: str) -> bool:
    """False where it is there by now, made by an owner of the same keys."""
    more: dict[str, Any] = {}
    if connection.region != "us-east-1":
        more = {"CreateBucketConfiguration": {"LocationConstraint": connection.region}}
    try:
        with explained(connection, f"create the bucket {name}"):
            client.create_bucket(Bucket=name, **more)
    except StoreError as error:
        if error.code == "BucketAlreadyOwnedByYou":
            return False
        raise
    return True


def claim(client: S3Client, connection: Connection, name: str, seen: Seen, owner: Owner, origin: Origin) -> None:
    """Write the owner into the bucket's tags, beside those that are there."""
    tags = {**(seen.tags or {}), **owner.tags(origin)}
    with explained(connection, f"tag the bucket {name} with its owner"):
        client.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
        )


def remove(client: S3Client, connection: Connection, name: str) -> bool:
    """Delete an empty bucket; False where it is not empty."""
    try:
        with explained(connection, f"delete the bucket {name}"):
            # MinIO would take a bucket with uploads that go on.
            if client.list_multipart_uploads(Bucket=name, MaxUploads=1).get("Uploads"):
                return False
            client.delete_bucket(Bucket=name)
    except StoreError as error:
        if error.code in MISSING:
            return True
        # versitygw calls a bucket that keeps versions by another name.
        if error.code in {"BucketNotEmpty", "VersionedBucketNotEmpty"}:
            return False
        raise
    return True


def empty(client: S3Client, connection: Connection, name: str, *, seconds: float) -> int:
    """Remove unfinished uploads and every version of every object, as far as the time goes; how many.

    Raises `StoreError` where one may not be removed. Call it until `remove` says that it is empty.
    """
    until = monotonic() + seconds
    with explained(connection, f"empty the bucket {name}"):
        removed = 0
        for upload in _uploads(client, name):
            _abort(client, name, upload)
            removed += 1
            if monotonic() > until:
                return removed
        versions = _versions(client, name)
        while some := list(islice(versions, 1000)):
            answer = client.delete_objects(Bucket=name, Delete={"Objects": some, "Quiet": True})
            _refuse(answer.get("Errors") or [], name)
            removed += len(some)
            if monotonic() > until:
                break
    return removed


def _abort(client: S3Client, name: str, upload: Any) -> None:
    try:
        client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":  # it was finished just now
            raise


def _uploads(client: S3Client, name: str) -> Iterator[Any]:
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        yield from page.get("Uploads") or []


def _versions(client: S3Client, name: str) -> Iterator[Any]:
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in [*(page.get("Versions") or []), *(page.get("DeleteMarkers") or [])]:
                yield {"Key": version["Key"], "VersionId": version["VersionId"]}
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NotImplemented", "MethodNotAllowed"}:
            raise
        for objects in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            yield from ({"Key": found["Key"]} for found in objects.get("Contents") or [])


def _refuse(errors: list[Any], name: str) -> None:
    if not errors:
        return
    first = errors[0]
    locked = first.get("Code") in {"AccessDenied", "ObjectLocked", "InvalidRequest"}
    raise StoreError(
        reason="ObjectLocked" if locked else "StoreFailing",
        message=f"{first.get('Key')} and perhaps others in the bucket {name} may not be deleted: {first.get('Code')}: "
        f"{first.get('Message')}. Wait until their retention ends, or lift it.",
        transient=not locked,
        code=str(first.get("Code")),
    )
