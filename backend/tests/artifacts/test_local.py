from __future__ import annotations

import hashlib
import resource
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.artifacts.local import URL_PREFIX, LocalStorage, UploadGrant
from app.artifacts.storage import PresignedRequest, StoredObject
from app.errors import (
    NotFoundError,
    StorageUnavailableError,
    UploadMismatchError,
    UploadMissingError,
    UrlExpiredError,
    UrlInvalidError,
)
from tests.support.secrets import OLD_SIGNING_KEY, SIGNING_KEY

KEY = "artifacts/1"
LIFE = timedelta(minutes=5)
DATA = b"hello"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def storage(directory: Path) -> LocalStorage:
    return LocalStorage(directory, signing_key=SIGNING_KEY.encode())


def presign_put(storage: LocalStorage) -> PresignedRequest:
    return storage.presign_put(KEY, size_bytes=len(DATA), sha256=SHA256, media_type="text/plain", expires=LIFE)


def presign_get(storage: LocalStorage, file_name: str = "a.txt") -> PresignedRequest:
    return storage.presign_get(KEY, file_name=file_name, media_type="text/plain", expires=LIFE)


def query_of(request: PresignedRequest) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.url).query))


def grant(size_bytes: int = len(DATA)) -> UploadGrant:
    return UploadGrant(key=KEY, size_bytes=size_bytes, sha256=SHA256, media_type=None, upload_id=None, part_number=None)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_a_url_is_relative_and_carries_no_key_of_ours(storage: LocalStorage) -> None:
    request = presign_put(storage)

    assert request.url.startswith(f"{URL_PREFIX}{KEY}?")
    assert SIGNING_KEY not in request.url


def test_a_url_grants_what_was_signed(storage: LocalStorage) -> None:
    now = datetime.now(UTC)

    upload = storage.verify("PUT", KEY, query_of(presign_put(storage)), now=now)
    download = storage.verify("GET", KEY, query_of(presign_get(storage, "Größe & Höhe=1.txt")), now=now)

    assert (upload.size_bytes, upload.sha256, upload.media_type) == (len(DATA), SHA256, "text/plain")
    assert (download.file_name, download.media_type) == ("Größe & Höhe=1.txt", "text/plain")


@pytest.mark.parametrize(
    "change",
    [
        {"size": "6"},
        {"sha256": "0" * 64},
        {"type": "text/html"},
        {"expires": "9999999999"},
        {"part": "1"},
        {"signature": ""},
        {"signature": "ü"},
    ],
)
def test_a_changed_url_is_refused(storage: LocalStorage, change: dict[str, str]) -> None:
    with pytest.raises(UrlInvalidError):
        storage.verify("PUT", KEY, query_of(presign_put(storage)) | change, now=datetime.now(UTC))


def test_a_url_counts_for_its_method_and_key_only(storage: LocalStorage) -> None:
    query = query_of(presign_put(storage))

    with pytest.raises(UrlInvalidError):
        storage.verify("GET", KEY, query, now=datetime.now(UTC))
    with pytest.raises(UrlInvalidError):
        storage.verify("PUT", f"{KEY}2", query, now=datetime.now(UTC))


def test_a_url_that_another_key_signed_is_refused(storage: LocalStorage, directory: Path) -> None:
    other = LocalStorage(directory, signing_key=OLD_SIGNING_KEY.encode())

    with pytest.raises(UrlInvalidError):
        storage.verify("PUT", KEY, query_of(presign_put(other)), now=datetime.now(UTC))


def test_a_url_expires_at_the_second_that_it_names(storage: LocalStorage) -> None:
    request = presign_put(storage)

    storage.verify("PUT", KEY, query_of(request), now=request.expires_at - timedelta(microseconds=1))
    with pytest.raises(UrlExpiredError):
        storage.verify("PUT", KEY, query_of(request), now=request.expires_at)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", ".hidden", "a b", "a\x00", "ü"])
def test_a_malformed_key_is_refused(storage: LocalStorage, key: str) -> None:
    with pytest.raises(ValueError, match="malformed storage key"):
        storage.stat(key)
    with pytest.raises(ValueError, match="malformed storage key"):
        storage.presign_get(key, file_name="a", media_type="text/plain", expires=LIFE)


@pytest.mark.parametrize("upload_id", ["", "..", "../../objects", "0" * 31])
def test_a_malformed_upload_id_is_an_unknown_upload(storage: LocalStorage, upload_id: str) -> None:
    with pytest.raises(UploadMissingError):
        storage.list_parts(KEY, upload_id)
    storage.abort_multipart(KEY, upload_id)


def test_a_key_may_be_the_prefix_of_another(storage: LocalStorage) -> None:
    storage.put("a", BytesIO(b"1"), media_type="text/plain")
    storage.put("a/b", BytesIO(b"2"), media_type="text/plain")

    storage.delete("a")

    assert b"".join(storage.read("a/b")) == b"2"


def test_an_upload_belongs_to_its_key(storage: LocalStorage) -> None:
    upload_id = storage.create_multipart(KEY, media_type="text/plain")

    with pytest.raises(UploadMissingError):
        storage.list_parts("artifacts/2", upload_id)


def test_an_upload_in_several_chunks_appears_whole_on_commit(storage: LocalStorage) -> None:
    upload = storage.open_upload(grant())
    upload.write(DATA[:2])
    upload.write(DATA[2:])
    assert storage.stat(KEY) is None

    upload.commit()
    upload.discard()

    assert storage.stat(KEY) == StoredObject(size_bytes=len(DATA), sha256=SHA256)


def test_an_upload_that_is_too_long_is_refused_before_it_ends(storage: LocalStorage) -> None:
    upload = storage.open_upload(grant())

    with pytest.raises(UploadMismatchError, match="The uploaded size is 6, announced was 5"):
        upload.write(b"hello!")
    upload.discard()


def test_a_discarded_upload_leaves_no_file(storage: LocalStorage, directory: Path) -> None:
    upload = storage.open_upload(grant())
    upload.write(DATA)

    upload.discard()

    assert files(directory) == []


def test_two_uploads_of_one_object_do_not_mix(storage: LocalStorage) -> None:
    first, second = storage.open_upload(grant()), storage.open_upload(grant())
    for upload in (first, second):
        upload.write(DATA)
    first.commit()
    second.commit()

    assert storage.stat(KEY) == StoredObject(size_bytes=len(DATA), sha256=SHA256)


def test_deleting_takes_what_a_killed_upload_left(storage: LocalStorage, directory: Path) -> None:
    upload = storage.open_upload(grant())
    upload.write(DATA)

    storage.delete(KEY)

    assert files(directory) == []
    with pytest.raises(UploadMissingError):
        upload.commit()
    upload.discard()


def test_completing_leaves_no_part(storage: LocalStorage, directory: Path) -> None:
    upload_id = storage.create_multipart(KEY, media_type="text/plain")
    upload = storage.open_upload(
        UploadGrant(key=KEY, size_bytes=len(DATA), sha256=SHA256, media_type=None, upload_id=upload_id, part_number=1)
    )
    upload.write(DATA)
    upload.commit()

    storage.complete_multipart(KEY, upload_id, parts=storage.list_parts(KEY, upload_id))

    assert files(directory) == ["digests/artifacts~1", "objects/artifacts~1"]


def test_a_sha256_counts_only_for_the_file_that_it_was_taken_of(storage: LocalStorage, directory: Path) -> None:
    storage.put(KEY, BytesIO(DATA), media_type="text/plain")
    other = directory / "other"
    other.write_bytes(b"other")
    other.replace(directory / "objects" / "artifacts~1")

    assert storage.stat(KEY) == StoredObject(size_bytes=5, sha256=None)


def test_a_download_of_a_deleted_object_is_not_found(storage: LocalStorage) -> None:
    granted = storage.verify("GET", KEY, query_of(presign_get(storage)), now=datetime.now(UTC))

    with pytest.raises(NotFoundError):
        storage.open_download(granted)


def test_a_directory_that_is_a_file_is_unavailable(storage: LocalStorage, directory: Path) -> None:
    directory.write_text("")

    with pytest.raises(StorageUnavailableError) as caught:
        storage.check()

    assert str(caught.value.__cause__) == f"directory {directory}: Not a directory"


def test_a_directory_where_nothing_can_be_made_is_unavailable() -> None:
    storage = LocalStorage(Path("/proc/artifacts"), signing_key=SIGNING_KEY.encode())

    with pytest.raises(StorageUnavailableError):
        storage.check()


def test_a_write_that_the_system_refuses_is_unavailable_and_leaves_no_file(
    storage: LocalStorage, directory: Path
) -> None:
    large = b"0" * 1024**2
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(StorageUnavailableError) as caught:
            storage.put(KEY, BytesIO(large), media_type="text/plain")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(caught.value.__cause__).endswith("File too large")
    assert files(directory) == []
