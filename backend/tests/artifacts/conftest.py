"""The stores that the specifications run over, each with a client that obeys its presigned requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.artifacts.local import URL_PREFIX, LocalStorage
from app.artifacts.s3 import S3CompatibleStorage
from app.artifacts.storage import ArtifactStorage, PresignedRequest, content_disposition
from app.artifacts.storage_factory import create_storage
from app.errors import LandfallError
from app.settings import ArtifactSettings, Settings
from tests.support.object_store import ObjectStore
from tests.support.secrets import SIGNING_KEY
from tests.support.settings import store_settings


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a store answers to a presigned request."""

    accepted: bool
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """A storage, and a client without credentials."""

    @property
    def storage(self) -> ArtifactStorage: ...

    def send(self, request: PresignedRequest, body: bytes = b"") -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class S3Store:
    storage: S3CompatibleStorage
    http: httpx.Client

    def send(self, request: PresignedRequest, body: bytes = b"") -> Answer:
        answer = self.http.request(request.method, request.url, headers=request.headers, content=body)
        return Answer(accepted=answer.is_success, body=answer.content, headers=answer.headers)


@dataclass(frozen=True, kw_only=True)
class LocalStore:
    """Does in process what the HTTP route does."""

    storage: LocalStorage

    def send(self, request: PresignedRequest, body: bytes = b"") -> Answer:
        parts = urlsplit(request.url)
        key = parts.path.removeprefix(URL_PREFIX)
        query = dict(parse_qsl(parts.query))
        try:
            return self._download(key, query) if request.method == "GET" else self._upload(key, query, body)
        except LandfallError:
            return Answer(accepted=False)

    def _download(self, key: str, query: Mapping[str, str]) -> Answer:
        download = self.storage.open_download(self.storage.verify("GET", key, query, now=datetime.now(UTC)))
        headers = {
            "content-disposition": content_disposition(download.file_name),
            "content-type": download.media_type,
            "content-length": str(download.size_bytes),
        }
        return Answer(accepted=True, body=download.path.read_bytes(), headers=headers)

    def _upload(self, key: str, query: Mapping[str, str], body: bytes) -> Answer:
        upload = self.storage.open_upload(self.storage.verify("PUT", key, query, now=datetime.now(UTC)))
        try:
            upload.write(body)
            upload.commit()
        finally:
            upload.discard()
        return Answer(accepted=True)


def s3_storage(settings: ArtifactSettings) -> S3CompatibleStorage:
    storage = create_storage(Settings(_env_file=None, artifacts=settings), signing_key=b"")
    assert isinstance(storage, S3CompatibleStorage)
    return storage


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(storage=LocalStorage(tmp_path / "artifacts", signing_key=SIGNING_KEY.encode()))


@pytest.fixture
def moto(moto_store: ObjectStore, http: httpx.Client) -> S3Store:
    return S3Store(storage=s3_storage(store_settings(moto_store)), http=http)


@pytest.fixture
def checking(checking_store: ObjectStore, http: httpx.Client) -> S3Store:
    return S3Store(storage=s3_storage(store_settings(checking_store)), http=http)


@pytest.fixture(params=["local", "moto", "checking"])
def store(request: pytest.FixtureRequest) -> Store:
    """Every store."""
    store: Store = request.getfixturevalue(request.param)
    return store


@pytest.fixture(params=["local", "checking"])
def strict_store(request: pytest.FixtureRequest) -> Store:
    """The stores that check and keep the SHA-256 of what they are sent: moto does neither."""
    store: Store = request.getfixturevalue(request.param)
    return store
