from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.object_store import ObjectStore

PART_BYTES = 5 * 1024**2  # S3's least for any part but the last


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def put(store: ObjectStore, announced: bytes, *, sent: bytes) -> int:
    """The status of a presigned upload of `sent` whose signature carries the SHA-256 of `announced`."""
    client = store.client()
    bucket = store.make_bucket()
    url = client.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "k", "ChecksumSHA256": checksum(announced)}
    )
    client.close()
    return httpx.put(url, content=sent, headers={"x-amz-checksum-sha256": checksum(announced)}).status_code


def put_part(store: ObjectStore, announced: bytes, *, sent: bytes) -> int:
    """Likewise for one part of a multipart upload."""
    client = store.client()
    bucket = store.make_bucket()
    upload = client.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "ChecksumSHA256": checksum(announced)}
    url = client.generate_presigned_url("upload_part", Params=part)
    client.close()
    return httpx.put(url, content=sent, headers={"x-amz-checksum-sha256": checksum(announced)}).status_code


def test_the_checking_store_takes_what_was_announced(checking_store: ObjectStore) -> None:
    assert put(checking_store, b"content", sent=b"content") == 200


def test_the_checking_store_refuses_a_corrupt_upload(checking_store: ObjectStore) -> None:
    assert put(checking_store, b"content", sent=b"c0ntent") == 400


def test_the_checking_store_refuses_a_short_upload(checking_store: ObjectStore) -> None:
    assert put(checking_store, b"content", sent=b"conten") == 400


def test_the_checking_store_takes_a_part_as_announced(checking_store: ObjectStore) -> None:
    assert put_part(checking_store, b"p" * PART_BYTES, sent=b"p" * PART_BYTES) == 200


def test_the_checking_store_refuses_a_corrupt_part(checking_store: ObjectStore) -> None:
    assert put_part(checking_store, b"p" * PART_BYTES, sent=b"q" * PART_BYTES) == 400


def test_the_checking_store_refuses_another_secret_key(checking_store: ObjectStore) -> None:
    forger = replace(checking_store, secret_key="another")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forger.make_bucket()


def stop_and_start(store: ObjectStore) -> bytes:
    """What an object written before a stop reads as after it; in between nothing answers."""
    client = store.client()
    bucket = store.make_bucket()
    client.put_object(Bucket=bucket, Key="k", Body=b"content")

    store.stop(immediate=True)
    with pytest.raises(EndpointConnectionError):
        client.get_object(Bucket=bucket, Key="k")
    store.start_again()

    content = client.get_object(Bucket=bucket, Key="k")["Body"].read()
    client.close()
    return content


@pytest.mark.fault
def test_a_killed_checking_store_comes_back_with_its_objects(own_checking_store: ObjectStore) -> None:
    assert stop_and_start(own_checking_store) == b"content"


def test_a_stopped_moto_comes_back_with_its_objects(moto_store: ObjectStore) -> None:
    assert stop_and_start(moto_store) == b"content"
