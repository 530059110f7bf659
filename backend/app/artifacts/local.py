"""Artifacts in a local directory, behind signed URLs of our own: the same flow as S3 where there is no S3."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, overload
from urllib.parse import urlencode

from app.artifacts.storage import (
    CHUNK_BYTES,
    OpenFile,
    PresignedRequest,
    StorageFaultError,
    StoredObject,
    StoredPart,
    clean_file_name,
)
from app.errors import (
    NotFoundError,
    StorageUnavailableError,
    UploadMismatchError,
    UploadMissingError,
    UrlExpiredError,
    UrlInvalidError,
)

URL_PREFIX = "/api/v1/artifact-store/"
# The signing key also signs other things: a URL's signature must be worth nothing there.
KEY_PURPOSE = b"landfall artifact URL"
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class UploadGrant:
    """What a verified PUT URL allows; a whole object unless `upload_id` and `part_number` name a part."""

    key: str
    size_bytes: int
    sha256: str
    media_type: str | None
    upload_id: str | None
    part_number: int | None


@dataclass(frozen=True, kw_only=True)
class DownloadGrant:
    """What a verified GET URL allows."""

    key: str
    file_name: str
    media_type: str


@dataclass(frozen=True, kw_only=True)
class LocalDownload:
    """A file to send; `content_disposition` of `storage` renders its name."""

    path: Path
    size_bytes: int
    file_name: str
    media_type: str


class LocalUpload:
    """Bytes on their way into the store, for one thread at a time; end it with `commit` or `discard`."""

    def __init__(self, grant: UploadGrant, *, temporary: Path, publish: Callable[[Path], None]) -> None:
        self._grant = grant
        self._temporary = temporary
        self._publish = publish
        self._file = temporary.open("xb")
        self._hash = hashlib.sha256()
        self._received = 0

    def write(self, chunk: bytes) -> None:
        """Append a chunk; raises `UploadMismatchError` as soon as there is more than was announced."""
        self._received += len(chunk)
        if self._received > self._grant.size_bytes:
            raise UploadMismatchError(what="size", actual=self._received, expected=self._grant.size_bytes)
        with _faults(self._temporary):
            self._file.write(chunk)
        self._hash.update(chunk)

    def commit(self) -> None:
        """Publish the bytes, durably and at once.

        Raises `UploadMismatchError`, or `UploadMissingError` where the upload was aborted meanwhile.
        """
        if self._received != self._grant.size_bytes:
            raise UploadMismatchError(what="size", actual=self._received, expected=self._grant.size_bytes)
        actual = self._hash.hexdigest()
        if actual != self._grant.sha256:
            raise UploadMismatchError(what="SHA-256", actual=actual, expected=self._grant.sha256)
        with _faults(self._temporary, missing="it was aborted meanwhile"):
            _sync(self._file)
            self._file.close()
            self._publish(self._temporary)

    def discard(self) -> None:
        """Drop what is not committed; harmless after `commit`."""
        with _faults(self._temporary):
            try:
                self._file.close()
            finally:
                self._temporary.unlink(missing_ok=True)


class LocalStorage:
    """`ArtifactStorage` in a directory, for one machine.

    Keys are flattened into file names, so that neither `..` nor a key that is another's prefix means anything. Uploads
    are written beside the objects and renamed. Malformed keys raise `ValueError`.
    """

    def __init__(self, directory: Path, *, signing_key: bytes) -> None:
        self._directory = directory.absolute()
        self._signing_key = hmac.digest(signing_key, KEY_PURPOSE, "sha256")

    def describe(self) -> str:
        return f"directory {self._directory}"

    def check(self) -> None:
        with _faults(self._directory):
            incoming = self._folder("incoming")
            incoming.mkdir(parents=True, exist_ok=True)
            (incoming / "check").write_bytes(b"-")

    def presign_put(
        self, key: str, *, size_bytes: int, sha256: str, media_type: str, expires: timedelta
    ) -> PresignedRequest:
        claims = {"size": str(size_bytes), "sha256": sha256, "type": media_type}
        return self._presign("PUT", key, expires=expires, headers={"content-type": media_type}, claims=claims)

    def create_multipart(self, key: str, *, media_type: str) -> str:  # noqa: ARG002 - a download names its type
        upload_id = secrets.token_hex(16)
        with _faults(self._directory):
            self._upload_directory(key, upload_id).mkdir(parents=True)
        return upload_id

    def presign_part(
        self, key: str, upload_id: str, *, number: int, size_bytes: int, sha256: str, expires: timedelta
    ) -> PresignedRequest:
        claims = {"upload": upload_id, "part": str(number), "size": str(size_bytes), "sha256": sha256}
        return self._presign("PUT", key, expires=expires, headers={}, claims=claims)

    def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        parts = {}
        with _faults(self._directory, missing="the upload is unknown"):
            for path in sorted(self._upload_directory(key, upload_id).glob("*.part")):
                number, sha256, _ = path.name.split(".")
                parts[int(number)] = StoredPart(
                    number=int(number), size_bytes=path.stat().st_size, sha256=sha256, etag=sha256
                )
            self._upload_directory(key, upload_id).stat()
        return list(parts.values())

    def complete_multipart(self, key: str, upload_id: str, *, parts: Sequence[StoredPart]) -> None:
        directory = self._upload_directory(key, upload_id)
        if not parts:
            raise UploadMissingError(reason="no part was uploaded")
        with _faults(self._directory, missing="the upload or one of its parts is unknown"):
            sources = [directory / _part_name(part.number, part.etag) for part in parts]
            temporary = self._temporary(key)
            try:
                _join(sources, temporary)
                self._publish(temporary, key=key, sha256=None)
            finally:
                temporary.unlink(missing_ok=True)
        _remove_tree(directory)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        try:
            directory = self._upload_directory(key, upload_id)
        except UploadMissingError:
            return
        _remove_tree(directory)

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires: timedelta) -> PresignedRequest:
        claims = {"name": clean_file_name(file_name), "type": media_type}
        return self._presign("GET", key, expires=expires, headers={}, claims=claims)

    def stat(self, key: str) -> StoredObject | None:
        with _faults(self._directory):
            try:
                status = self._object(key).stat()
            except FileNotFoundError:
                return None
            sha256, _, owner = _read_text(self._digest(key)).partition(" ")
        known = owner == _identity(status)
        return StoredObject(size_bytes=status.st_size, sha256=sha256 if known else None)

    def read(self, key: str) -> Iterator[bytes]:
        with _faults(self._directory, missing="there is no such object"):
            file = self._object(key).open("rb")
        return _chunks(file)

    def put(self, key: str, file: OpenFile, *, media_type: str) -> None:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        grant = UploadGrant(
            key=key,
            size_bytes=file.seek(0, os.SEEK_END),
            sha256=sha256,
            media_type=media_type,
            upload_id=None,
            part_number=None,
        )
        file.seek(0)
        upload = self.open_upload(grant)
        try:
            while chunk := file.read(CHUNK_BYTES):
                upload.write(chunk)
            upload.commit()
        finally:
            upload.discard()

    def delete(self, key: str) -> None:
        with _faults(self._directory):
            # A killed process leaves its temporary files: whoever gives the artifact up deletes its key.
            leftovers = self._folder("incoming").glob(f"{_flat(key)}~~*")
            for path in (self._object(key), self._digest(key), *leftovers):
                path.unlink(missing_ok=True)

    @overload
    def verify(self, method: Literal["PUT"], key: str, query: Mapping[str, str], *, now: datetime) -> UploadGrant: ...
    @overload
    def verify(self, method: Literal["GET"], key: str, query: Mapping[str, str], *, now: datetime) -> DownloadGrant: ...
    def verify(
        self, method: Literal["PUT", "GET"], key: str, query: Mapping[str, str], *, now: datetime
    ) -> UploadGrant | DownloadGrant:
        """Read what a presigned URL allows, from its path after the prefix and its decoded query.

        Raises `UrlInvalidError`, or `UrlExpiredError` from the second that it names on.
        """
        claims = {name: value for name, value in query.items() if name != "signature"}
        signature = self._signature(method, key, claims)
        if not hmac.compare_digest(signature.encode(), query.get("signature", "").encode("utf-8", "replace")):
            raise UrlInvalidError
        if now.timestamp() >= int(claims["expires"]):
            raise UrlExpiredError
        if method == "GET":
            return DownloadGrant(key=key, file_name=claims["name"], media_type=claims["type"])
        return UploadGrant(
            key=key,
            size_bytes=int(claims["size"]),
            sha256=claims["sha256"],
            media_type=claims.get("type"),
            upload_id=claims.get("upload"),
            part_number=int(claims["part"]) if "part" in claims else None,
        )

    def open_upload(self, grant: UploadGrant) -> LocalUpload:
        """Begin to receive what the grant announces; raises `UploadMissingError` for a part of an unknown upload."""
        with _faults(self._directory, missing="the upload is unknown" if grant.upload_id else None):
            if grant.upload_id is None or grant.part_number is None:
                temporary = self._temporary(grant.key)
                publish = partial(self._publish, key=grant.key, sha256=grant.sha256)
            else:
                directory = self._upload_directory(grant.key, grant.upload_id)
                temporary = directory / f"{secrets.token_hex(16)}.tmp"
                publish = partial(_publish_part, number=grant.part_number, sha256=grant.sha256)
            return LocalUpload(grant, temporary=temporary, publish=publish)

    def open_download(self, grant: DownloadGrant) -> LocalDownload:
        """Find the file to send; raises `NotFoundError` where it was deleted."""
        stored = self.stat(grant.key)
        if stored is None:
            raise NotFoundError(noun="artifact", id=grant.key)
        return LocalDownload(
            path=self._object(grant.key),
            size_bytes=stored.size_bytes,
            file_name=grant.file_name,
            media_type=grant.media_type,
        )

    def _presign(
        self, method: str, key: str, *, expires: timedelta, headers: dict[str, str], claims: dict[str, str]
    ) -> PresignedRequest:
        _flat(key)
        expires_at = datetime.now(UTC).replace(microsecond=0) + expires
        query = {**claims, "expires": str(int(expires_at.timestamp()))}
        query["signature"] = self._signature(method, key, query)
        return PresignedRequest(
            method=method, url=f"{URL_PREFIX}{key}?{urlencode(query)}", headers=headers, expires_at=expires_at
        )

    def _signature(self, method: str, key: str, claims: Mapping[str, str]) -> str:
        canonical = "\n".join([method, key, urlencode(sorted(claims.items()), errors="replace")])
        return hmac.digest(self._signing_key, canonical.encode("utf-8", "replace"), "sha256").hex()

    def _folder(self, name: str) -> Path:
        return self._directory / name

    def _object(self, key: str) -> Path:
        return self._folder("objects") / _flat(key)

    def _digest(self, key: str) -> Path:
        return self._folder("digests") / _flat(key)

    def _upload_directory(self, key: str, upload_id: str) -> Path:
        if not UPLOAD_ID.fullmatch(upload_id):
            raise UploadMissingError(reason="the upload is unknown")
        return self._folder("multipart") / f"{_flat(key)}~~{upload_id}"

    def _temporary(self, key: str) -> Path:
        for name in ("incoming", "objects", "digests"):
            self._folder(name).mkdir(parents=True, exist_ok=True)
        return self._folder("incoming") / f"{_flat(key)}~~{secrets.token_hex(16)}"

    def _publish(self, temporary: Path, *, key: str, sha256: str | None) -> None:
        # The digest comes first and names the file that it belongs to: a crash in between leaves a digest that
        # counts for nothing, never one for other bytes.
        self._digest(key).write_text(f"{sha256} {_identity(temporary.stat())}" if sha256 else "")
        temporary.replace(self._object(key))


def _publish_part(temporary: Path, *, number: int, sha256: str) -> None:
    for older in temporary.parent.glob(_part_name(number, "*")):
        older.unlink(missing_ok=True)
    temporary.rename(temporary.parent / _part_name(number, sha256))


def _flat(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError("malformed storage key")
    return key.replace("/", "~")


def _part_name(number: int, sha256: str) -> str:
    return f"{number:05}.{sha256}.part"


def _identity(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _join(sources: Sequence[Path], target: Path) -> None:
    with target.open("xb") as whole:
        for source in sources:
            with source.open("rb") as part:
                shutil.copyfileobj(part, whole, CHUNK_BYTES)
        _sync(whole)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file, _faults(Path(file.name)):
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _remove_tree(directory: Path) -> None:
    with _faults(directory), suppress(FileNotFoundError):
        shutil.rmtree(directory)


@contextmanager
def _faults(path: Path, *, missing: str | None = None) -> Iterator[None]:
    """Turn errors of the file system into ours; a missing file into `UploadMissingError` where `missing` says so."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and missing:
            raise UploadMissingError(reason=missing) from None
        reason = error.strerror or type(error).__name__
        raise StorageUnavailableError from StorageFaultError(f"directory {path}: {reason}")
