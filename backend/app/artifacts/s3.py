"""Artifacts in a bucket of any S3-compatible server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from app.artifacts.storage import (
    CHUNK_BYTES,
    OpenFile,
    PresignedRequest,
    StorageFaultError,
    StoredObject,
    StoredPart,
    content_disposition,
)
from app.errors import StorageUnavailableError, UploadMissingError

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef

ATTEMPTS = 3
POOL_CONNECTIONS = 32
# Joining thousands of parts takes a server long, and to ask again meanwhile only makes it join them twice. Below the
# request deadline of 30 s, so that the caller still hears which store did not answer.
JOIN_READ_TIMEOUT = timedelta(seconds=25)
PROBE_READ_TIMEOUT = timedelta(seconds=1)  # a health check that hangs must not outlive the next one by much

# HEAD answers carry no body, so botocore has only their status to call a code.
REASONS = {
    "403": "access denied",
    "AccessDenied": "access denied",
    "InvalidAccessKeyId": "the access key is unknown",
    "XAdminUserNotFound": "the access key is unknown",  # versitygw's name for it
    "SignatureDoesNotMatch": "the secret key is wrong",
    "404": "the bucket does not exist",
    "NoSuchBucket": "the bucket does not exist",
}
MISSING_OBJECT = {"404", "NoSuchKey"}
MISSING_UPLOAD = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder"}


class S3CompatibleStorage:
    """`ArtifactStorage` over one bucket; the clients are shared by all threads.

    `public_endpoint_url` is where clients reach the same server; `use_ssl` counts only where `endpoint_url` is unset.
    """

    def __init__(
        self,
        bucket: str,
        *,
        region: str,
        access_key: str,
        secret_key: SecretStr,
        endpoint_url: str | None = None,
        public_endpoint_url: str | None = None,
        use_ssl: bool | None = None,
        connect_timeout: timedelta = timedelta(seconds=1),
        read_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        session = Session()

        def client(url: str | None, *, attempts: int = ATTEMPTS, timeout: timedelta = read_timeout) -> S3Client:
            return session.client(
                "s3",
                region_name=region,
                endpoint_url=url,
                use_ssl=use_ssl is not False,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key.get_secret_value(),
                config=Config(
                    signature_version="s3v4",
                    s3={"addressing_style": "path" if url else "auto"},
                    connect_timeout=connect_timeout.total_seconds(),
                    read_timeout=timeout.total_seconds(),
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    max_pool_connections=POOL_CONNECTIONS,
                    # The default adds CRC trailers, which many compatible servers do not understand.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

        self._bucket = bucket
        self._client = client(endpoint_url)
        self._prober = client(endpoint_url, attempts=1, timeout=min(read_timeout, PROBE_READ_TIMEOUT))
        self._joiner = client(endpoint_url, attempts=1, timeout=JOIN_READ_TIMEOUT)
        self._signer = client(public_endpoint_url or endpoint_url)

    def describe(self) -> str:
        return f"s3 bucket {self._bucket} at {self._client.meta.endpoint_url}"

    def check(self) -> None:
        with self._faults():
            try:
                self._prober.head_bucket(Bucket=self._bucket)
            except ClientError:
                # The answer to HEAD has no body that says why; listing needs the same permission.
                self._prober.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
                raise

    def presign_put(
        self, key: str, *, size_bytes: int, sha256: str, media_type: str, expires: timedelta
    ) -> PresignedRequest:
        checksum = _base64(sha256)
        return self._presign(
            "PUT",
            "put_object",
            expires=expires,
            headers={"content-type": media_type, "x-amz-checksum-sha256": checksum},
            params={"Key": key, "ContentLength": size_bytes, "ContentType": media_type, "ChecksumSHA256": checksum},
        )

    def create_multipart(self, key: str, *, media_type: str) -> str:
        with self._faults():
            answer = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ContentType=media_type, ChecksumAlgorithm="SHA256"
            )
        return answer["UploadId"]

    def presign_part(
        self, key: str, upload_id: str, *, number: int, size_bytes: int, sha256: str, expires: timedelta
    ) -> PresignedRequest:
        checksum = _base64(sha256)
        return self._presign(
            "PUT",
            "upload_part",
            expires=expires,
            headers={"x-amz-checksum-sha256": checksum},
            params={
                "Key": key,
                "UploadId": upload_id,
                "PartNumber": number,
                "ContentLength": size_bytes,
                "ChecksumSHA256": checksum,
            },
        )

    def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with self._faults(missing=MISSING_UPLOAD):
            return [
                StoredPart(
                    number=part["PartNumber"],
                    size_bytes=part["Size"],
                    sha256=_hex(part["ChecksumSHA256"]) if "ChecksumSHA256" in part else None,
                    etag=part["ETag"],
                )
                for page in pages
                for part in page.get("Parts", [])
            ]

    def complete_multipart(self, key: str, upload_id: str, *, parts: Sequence[StoredPart]) -> None:
        if not parts:
            raise UploadMissingError(reason="no part was uploaded")
        with self._faults(missing=MISSING_UPLOAD):
            self._joiner.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with self._faults():
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires: timedelta) -> PresignedRequest:
        return self._presign(
            "GET",
            "get_object",
            expires=expires,
            headers={},
            params={
                "Key": key,
                "ResponseContentDisposition": content_disposition(file_name),
                "ResponseContentType": media_type,
            },
        )

    def stat(self, key: str) -> StoredObject | None:
        with self._faults():
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if _code(error) in MISSING_OBJECT:
                    return None
                raise
        return StoredObject(size_bytes=head["ContentLength"], sha256=_whole_sha256(head))

    def read(self, key: str) -> Iterator[bytes]:
        with self._faults(missing=MISSING_OBJECT):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        return self._chunks(body)

    def _chunks(self, body: StreamingBody) -> Iterator[bytes]:
        with self._faults(), closing(body):
            yield from body.iter_chunks(CHUNK_BYTES)

    def put(self, key: str, file: OpenFile, *, media_type: str) -> None:
        checksum = base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
        file.seek(0)
        with self._faults():
            # In one request: parts would stay in the bucket, unseen, when the process is killed between them.
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=file, ContentType=media_type, ChecksumSHA256=checksum
            )

    def delete(self, key: str) -> None:
        with self._faults():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def _presign(
        self, method: str, operation: str, *, expires: timedelta, headers: dict[str, str], params: dict[str, Any]
    ) -> PresignedRequest:
        # Signatures count whole seconds from before now: rounding up would promise more than the server grants.
        signed_at = datetime.now(UTC).replace(microsecond=0)
        url = self._signer.generate_presigned_url(
            operation, Params={"Bucket": self._bucket, **params}, ExpiresIn=int(expires.total_seconds())
        )
        return PresignedRequest(method=method, url=url, headers=headers, expires_at=signed_at + expires)

    @contextmanager
    def _faults(self, *, missing: set[str] | None = None) -> Iterator[None]:
        """Turn botocore's errors into ours; the codes in `missing` into `UploadMissingError`."""
        try:
            yield
        except ClientError as error:
            code = _code(error)
            if code in (missing or ()):
                raise UploadMissingError(reason=f"the store answered {code}") from None
            reason = REASONS.get(code, f"{error.operation_name} was answered {code}")
            raise StorageUnavailableError from StorageFaultError(f"{self.describe()}: {reason}")
        except BotoCoreError as error:
            raise StorageUnavailableError from StorageFaultError(
                f"{self.describe()}: no answer ({type(error).__name__})"
            )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _hex(checksum: str) -> str:
    return base64.b64decode(checksum).hex()


def _completed(part: StoredPart) -> CompletedPartTypeDef:
    completed: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": part.etag}
    if part.sha256 is not None:
        completed["ChecksumSHA256"] = _base64(part.sha256)
    return completed


def _whole_sha256(head: HeadObjectOutputTypeDef) -> str | None:
    """Read the SHA-256 of a whole object: that of a multipart one is a hash of its parts' hashes."""
    # Servers older than ChecksumType still mark multipart objects by a dash in the ETag.
    composite = head.get("ChecksumType") == "COMPOSITE" or "-" in head["ETag"]
    checksum = head.get("ChecksumSHA256")
    return _hex(checksum) if checksum and not composite else None
