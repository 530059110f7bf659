from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from app.artifacts.s3 import JOIN_READ_TIMEOUT, S3CompatibleStorage
from app.artifacts.storage import StorageFaultError, StoredPart
from app.errors import StorageUnavailableError
from app.settings import ArtifactSettings, ListenSettings
from tests.artifacts.conftest import S3Store, s3_storage
from tests.support.object_store import ObjectStore
from tests.support.secrets import S3_ACCESS_KEY, S3_SECRET_KEY
from tests.support.settings import store_settings
from tests.support.tools import free_port

LIFE = timedelta(minutes=5)
SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"


def storage_at(endpoint_url: str, **changes: object) -> S3CompatibleStorage:
    settings = ArtifactSettings(
        bucket="photos",
        endpoint_url=endpoint_url,
        access_key=S3_ACCESS_KEY,
        secret_key=SecretStr(S3_SECRET_KEY),
    )
    return s3_storage(settings.model_copy(update=changes))


def fault(storage: S3CompatibleStorage) -> str:
    """What operators are told when the store's check fails."""
    with pytest.raises(StorageUnavailableError) as caught:
        storage.check()
    assert isinstance(caught.value.__cause__, StorageFaultError)
    return str(caught.value.__cause__)


def signed_headers(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class _BreaksOff(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"the first bytes")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def breaking_server() -> Iterator[str]:
    """Promises more bytes than it sends."""
    with HTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_upload_signs_its_size_type_and_checksum() -> None:
    request = storage_at("http://127.0.0.1:9").presign_put(
        "a", size_bytes=5, sha256=SHA256, media_type="text/plain", expires=LIFE
    )

    assert signed_headers(request.url) == ["content-length", "content-type", "host", "x-amz-checksum-sha256"]
    assert request.headers == {
        "content-type": "text/plain",
        "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    }


def test_a_part_signs_its_size_and_checksum() -> None:
    request = storage_at("http://127.0.0.1:9").presign_part(
        "a", "upload", number=1, size_bytes=5, sha256=SHA256, expires=LIFE
    )

    assert signed_headers(request.url) == ["content-length", "host", "x-amz-checksum-sha256"]


def test_urls_name_the_public_endpoint_and_the_bucket_in_the_path() -> None:
    storage = storage_at("http://minio:9000", public_endpoint_url="https://files.example")

    request = storage.presign_get("a/b", file_name="b", media_type="text/plain", expires=LIFE)

    assert request.url.startswith("https://files.example/photos/a/b?")
    assert storage.describe() == "s3 bucket photos at http://minio:9000"


def test_an_expired_url_is_refused(checking: S3Store) -> None:
    checking.storage.put("a", BytesIO(b"hello"), media_type="text/plain")
    request = checking.storage.presign_get("a", file_name="a", media_type="text/plain", expires=timedelta(seconds=1))
    deadline = time.monotonic() + 5
    while checking.send(request).accepted:
        assert time.monotonic() < deadline


def test_a_missing_bucket_is_named(checking_store: ObjectStore) -> None:
    settings = store_settings(checking_store).model_copy(update={"bucket": "nowhere"})

    assert fault(s3_storage(settings)).endswith("the bucket does not exist")


def test_wrong_credentials_are_named_without_them(checking_store: ObjectStore) -> None:
    settings = store_settings(checking_store).model_copy(update={"secret_key": SecretStr(S3_SECRET_KEY + "x")})
    storage = s3_storage(settings)

    assert fault(storage).endswith("the secret key is wrong")
    with pytest.raises(StorageUnavailableError) as caught:
        storage.put("a", BytesIO(b"hello"), media_type="text/plain")
    assert str(caught.value.__cause__).endswith("the secret key is wrong")
    assert S3_SECRET_KEY not in repr(caught.value.__cause__)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    storage = storage_at(f"http://127.0.0.1:{free_port()}")

    assert fault(storage).endswith("no answer (EndpointConnectionError)")


def test_a_check_of_a_silent_server_ends_within_about_a_second(silent_server: str) -> None:
    storage = storage_at(silent_server)
    start = time.monotonic()

    assert fault(storage).endswith("no answer (ReadTimeoutError)")
    assert time.monotonic() - start < 1.8


def test_a_silent_server_is_tried_three_times_within_the_timeouts(silent_server: str) -> None:
    storage = storage_at(silent_server, read_timeout_seconds=timedelta(milliseconds=50))
    start = time.monotonic()

    with pytest.raises(StorageUnavailableError):
        storage.stat("a")
    assert time.monotonic() - start < 3 * 0.05 + 1 + 2 + 1  # and two pauses of at most 1 and 2 s


def test_joining_the_parts_waits_longer_and_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.artifacts.s3.JOIN_READ_TIMEOUT", timedelta(milliseconds=500))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        endpoint_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        storage = storage_at(endpoint_url, read_timeout_seconds=timedelta(milliseconds=50))
        start = time.monotonic()

        with pytest.raises(StorageUnavailableError):
            storage.complete_multipart("a", "upload", parts=[StoredPart(number=1, size_bytes=1, sha256=None, etag="a")])

        assert time.monotonic() - start >= 0.5
        listener.settimeout(0.2)
        listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()


def test_joining_the_parts_ends_before_its_request_does() -> None:
    assert JOIN_READ_TIMEOUT + timedelta(seconds=2) < ListenSettings().request_timeout_seconds


def test_a_download_that_breaks_off_is_an_error_and_not_a_short_file(breaking_server: str) -> None:
    chunks = storage_at(breaking_server).read("a")

    with pytest.raises(StorageUnavailableError):
        list(chunks)
