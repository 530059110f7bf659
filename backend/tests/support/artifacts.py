"""Artifacts through the API: an editor who announces, and a client without a token who sends the bytes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from fastapi.testclient import TestClient
from httpx2 import Response

from app.artifacts.storage import ArtifactStorage
from app.models import Artifact
from app.settings import Settings
from tests.support.api import Api, running
from tests.support.conformance import Document
from tests.support.tools import wait_until

MIB = 1024**2
PART = 5 * MIB  # S3 takes no smaller part but as the last one
THREE_PARTS = b"1" * PART + b"2" * PART + b"the rest"
DATA = b"a field photo"
ANOTHER_SHA256 = hashlib.sha256(b"another file").hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def announcement(data: bytes, **members: Any) -> dict[str, Any]:
    body = {"file_name": "photo.jpg", "media_type": "image/jpeg", "size_bytes": len(data), "sha256": sha256(data)}
    return body | members


def with_artifacts(settings: Settings, **changes: Any) -> Settings:
    """The same settings but for some of the artifacts'."""
    return settings.model_copy(update={"artifacts": settings.artifacts.model_copy(update=changes)})


def with_small_parts(settings: Settings) -> Settings:
    """Multipart uploads from 5 MiB, in parts of 5 MiB: the least that S3 takes."""
    return with_artifacts(settings, multipart_threshold_bytes=PART, part_size_bytes=PART)


@dataclass(frozen=True, kw_only=True)
class Depot:
    """The service over some store; `send` obeys a presigned request as any HTTP client would."""

    api: Api
    files: TestClient
    http: httpx2.Client

    @property
    def storage(self) -> ArtifactStorage:
        storage: ArtifactStorage = self.api.app.state.storage
        return storage

    def announce(self, data: bytes = DATA, *, headers: Mapping[str, str] | None = None, **members: Any) -> Any:
        answer = self.api.editor.post("/artifacts", json=announcement(data, **members), headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def announce_and_send(self, data: bytes = DATA, **members: Any) -> Any:
        made = self.announce(data, **members)
        assert self.send(made["upload"]["request"], data).is_success
        return made

    def available(self, data: bytes = DATA, **members: Any) -> Any:
        """An artifact that went all the way."""
        made = self.announce_and_send(data, **members)
        self.complete(made)
        return self.ended(made)

    def send(self, request: Mapping[str, Any], body: bytes = b"") -> Response:
        is_local = urlsplit(request["url"]).hostname == "testserver"
        client = self.files if is_local else self.http
        content = body if request["method"] == "PUT" else None
        return client.request(request["method"], request["url"], headers=request["headers"], content=content)

    def complete(self, made: Mapping[str, Any]) -> Response:
        return self.api.editor.post(f"/artifacts/{made['id']}/complete")

    def abort(self, made: Mapping[str, Any]) -> Response:
        return self.api.editor.post(f"/artifacts/{made['id']}/abort")

    def delete(self, made: Mapping[str, Any]) -> Response:
        return self.api.editor.delete(f"/artifacts/{made['id']}")

    def read(self, made: Mapping[str, Any]) -> Any:
        return self.api.viewer.read(f"/artifacts/{made['id']}")

    def ended(self, made: Mapping[str, Any]) -> Any:
        """The artifact when it is no longer being verified."""
        wait_until(lambda: self.read(made)["state"] != "verifying", timeout_seconds=10, what="a verification")
        return self.read(made)

    def upload(self, made: Mapping[str, Any]) -> Any:
        return self.api.editor.read(f"/artifacts/{made['id']}/upload")["upload"]

    def download(self, made: Mapping[str, Any]) -> Any:
        return self.api.viewer.read(f"/artifacts/{made['id']}/download")

    def parts(self, made: Mapping[str, Any], wanted: Mapping[int, bytes]) -> Response:
        """Ask for the URLs of parts with these bytes, by number."""
        body = {"parts": [{"number": number, "sha256": sha256(data)} for number, data in wanted.items()]}
        return self.api.editor.post(f"/artifacts/{made['id']}/parts", json=body)

    def send_part(self, made: Mapping[str, Any], number: int, announced: bytes, sent: bytes | None = None) -> Response:
        (part,) = self.parts(made, {number: announced}).json()["parts"]
        return self.send(part["request"], announced if sent is None else sent)

    def arrived(self, made: Mapping[str, Any]) -> Sequence[tuple[int, int]]:
        """The number and size of each part that is there."""
        parts = self.api.editor.read(f"/artifacts/{made['id']}/parts")["parts"]
        return [(part["number"], part["size_bytes"]) for part in parts]

    def bytes_of(self, made: Mapping[str, Any]) -> bytes | None:
        """What the store has, whatever the row says."""
        key = key_of(made)
        return None if self.storage.stat(key) is None else b"".join(self.storage.read(key))


def key_of(made: Mapping[str, Any]) -> str:
    return f"artifacts/{uuid.UUID(made['id'])}"


def upload_id_of(depot: Depot, made: Mapping[str, Any]) -> str:
    """The store's name for the artifact's unfinished multipart upload."""
    with depot.api.app.state.database.session(read_only=True) as session:
        upload_id: str = session.get(Artifact, uuid.UUID(made["id"])).upload_id
    return upload_id


def parts_of(data: bytes) -> dict[int, bytes]:
    return {1 + start // PART: data[start : start + PART] for start in range(0, len(data), PART)}


@contextmanager
def running_depot(settings: Settings, document: Document) -> Iterator[Depot]:
    # Files go by a client of their own: their routes stand in no OpenAPI document to be held against.
    with running(settings, document) as api, httpx2.Client(trust_env=False) as http:
        yield Depot(api=api, files=TestClient(api.app), http=http)
