"""What the service asks of an object store, and what all stores share.

SHA-256 values are lower-case hex, sizes are bytes, `expires` is how long a URL lives from now.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader, BytesIO
from typing import Protocol
from urllib.parse import quote

CHUNK_BYTES = 1024**2
OpenFile = BufferedReader | BytesIO


class StorageFaultError(Exception):
    """Why a store is unusable, in one line for operators: the `__cause__` of `StorageUnavailableError`; no secrets."""


@dataclass(frozen=True, kw_only=True)
class PresignedRequest:
    """What a client sends, without credentials; `headers` are signed, and so is the body's Content-Length."""

    method: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One object; `sha256` is None where the store does not know that of the whole object."""

    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """One part of an unfinished multipart upload; `sha256` is None where the store does not tell it."""

    number: int
    size_bytes: int
    sha256: str | None
    etag: str


class ArtifactStorage(Protocol):
    """A store of immutable objects; every method may raise `StorageUnavailableError`."""

    def describe(self) -> str:
        """Name the store for people, without secrets."""
        ...

    def check(self) -> None:
        """Ask the store once, without retries, whether it can be used; raises `StorageUnavailableError`."""
        ...

    def presign_put(
        self, key: str, *, size_bytes: int, sha256: str, media_type: str, expires: timedelta
    ) -> PresignedRequest:
        """Let a client upload exactly these bytes; the store refuses others."""
        ...

    def create_multipart(self, key: str, *, media_type: str) -> str:
        """Begin a multipart upload; returns its id."""
        ...

    def presign_part(
        self, key: str, upload_id: str, *, number: int, size_bytes: int, sha256: str, expires: timedelta
    ) -> PresignedRequest:
        """Let a client upload exactly these bytes as part `number`, from 1; repeating it replaces the part."""
        ...

    def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """List what has arrived, by number; raises `UploadMissingError` for an unknown upload."""
        ...

    def complete_multipart(self, key: str, upload_id: str, *, parts: Sequence[StoredPart]) -> None:
        """Join the parts, as `list_parts` gave them; raises `UploadMissingError` for an unknown upload or part."""
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Forget an upload and its parts; an unknown one is no error."""
        ...

    def presign_get(self, key: str, *, file_name: str, media_type: str, expires: timedelta) -> PresignedRequest:
        """Let a client download the object as an attachment of that name and type."""
        ...

    def stat(self, key: str) -> StoredObject | None:
        """Describe an object; None where there is none."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in chunks of at most 1 MiB; raises `UploadMissingError` at once where there is none."""
        ...

    def put(self, key: str, file: OpenFile, *, media_type: str) -> None:
        """Store a file of at most 5 GiB, from its beginning: whole, or not at all."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        ...


def clean_file_name(file_name: str) -> str:
    """Make a name safe to save under: no control characters, no path separators, nothing that UTF-8 cannot hold."""
    encodable = file_name.encode("utf-8", "replace").decode()
    kept = (char for char in encodable if unicodedata.category(char) not in {"Cc", "Zl", "Zp"})
    return "".join("_" if char in "/\\" else char for char in kept).strip() or "download"


def content_disposition(file_name: str) -> str:
    """Render the header of an attachment (RFC 6266): an ASCII name for old clients, the real one by RFC 8187."""
    name = clean_file_name(file_name)
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    fallback = "".join("_" if char in '"%;' else char for char in ascii_name).strip() or "download"
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
