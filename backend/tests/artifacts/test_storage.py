"""What every store does alike."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from app.artifacts.storage import StoredObject, clean_file_name, content_disposition
from app.errors import UploadMissingError
from tests.artifacts.conftest import Answer, Store

KEY = "artifacts/0192f7a2/photo.1"
LIFE = timedelta(minutes=5)
DATA = b"a field photo"
FIRST_PART = b"1" * 5 * 1024**2  # S3 takes no smaller part but as the last one
LAST_PART = b"2" * 1000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: Store, announced: bytes, sent: bytes | None = None) -> Answer:
    request = store.storage.presign_put(
        KEY, size_bytes=len(announced), sha256=sha256(announced), media_type="image/jpeg", expires=LIFE
    )
    return store.send(request, announced if sent is None else sent)


def put_part(store: Store, upload_id: str, number: int, announced: bytes, sent: bytes | None = None) -> Answer:
    request = store.storage.presign_part(
        KEY, upload_id, number=number, size_bytes=len(announced), sha256=sha256(announced), expires=LIFE
    )
    return store.send(request, announced if sent is None else sent)


def get(store: Store, file_name: str = "photo.jpg") -> Answer:
    return store.send(store.storage.presign_get(KEY, file_name=file_name, media_type="image/jpeg", expires=LIFE))


def test_a_store_that_can_be_used_passes_its_check(store: Store) -> None:
    store.storage.check()


def test_what_is_put_is_described_and_read_back(store: Store) -> None:
    store.storage.put(KEY, BytesIO(DATA), media_type="text/plain")

    stored = store.storage.stat(KEY)
    assert stored is not None
    assert stored.size_bytes == len(DATA)
    assert b"".join(store.storage.read(KEY)) == DATA


def test_an_empty_object_is_an_object(store: Store) -> None:
    assert put(store, b"").accepted

    assert b"".join(store.storage.read(KEY)) == b""


def test_putting_again_replaces(store: Store) -> None:
    store.storage.put(KEY, BytesIO(b"the old bytes"), media_type="text/plain")
    store.storage.put(KEY, BytesIO(DATA), media_type="text/plain")

    assert b"".join(store.storage.read(KEY)) == DATA


def test_a_large_object_is_read_in_chunks(store: Store) -> None:
    store.storage.put(KEY, BytesIO(FIRST_PART), media_type="text/plain")

    chunks = list(store.storage.read(KEY))

    assert max(map(len, chunks)) <= 1024**2
    assert b"".join(chunks) == FIRST_PART


def test_a_missing_object_is_none_and_cannot_be_read(store: Store) -> None:
    assert store.storage.stat(KEY) is None
    with pytest.raises(UploadMissingError):
        store.storage.read(KEY)
    assert not get(store).accepted


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: Store) -> None:
    store.storage.put(KEY, BytesIO(DATA), media_type="text/plain")

    store.storage.delete(KEY)
    store.storage.delete(KEY)

    assert store.storage.stat(KEY) is None


def test_the_sha256_of_what_was_put_is_known(strict_store: Store) -> None:
    strict_store.storage.put(KEY, BytesIO(DATA), media_type="text/plain")

    assert strict_store.storage.stat(KEY) == StoredObject(size_bytes=len(DATA), sha256=sha256(DATA))


def test_the_sha256_of_a_presigned_upload_is_known(strict_store: Store) -> None:
    put(strict_store, b"the old bytes")
    put(strict_store, DATA)

    assert strict_store.storage.stat(KEY) == StoredObject(size_bytes=len(DATA), sha256=sha256(DATA))


def test_a_presigned_upload_can_be_downloaded(store: Store) -> None:
    assert put(store, DATA).accepted

    assert get(store).body == DATA


def test_a_download_has_the_given_name_and_type(store: Store) -> None:
    put(store, DATA)

    answer = get(store, file_name='Höhe "3".jpg')

    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == content_disposition('Höhe "3".jpg')


def test_a_presigned_request_expires_when_it_says(store: Store) -> None:
    before = datetime.now(UTC)
    request = store.storage.presign_get(KEY, file_name="a", media_type="text/plain", expires=LIFE)

    assert before + LIFE - timedelta(seconds=1) < request.expires_at <= datetime.now(UTC) + LIFE


@pytest.mark.parametrize("sent", [b"a field phot0", b"a field", b"a field photo and more"])
def test_other_bytes_than_announced_are_refused(strict_store: Store, sent: bytes) -> None:
    assert not put(strict_store, DATA, sent).accepted

    assert strict_store.storage.stat(KEY) is None


def test_a_refused_upload_leaves_the_older_object_alone(strict_store: Store) -> None:
    put(strict_store, DATA)

    put(strict_store, b"something", b"SOMETHING")

    assert b"".join(strict_store.storage.read(KEY)) == DATA


def test_parts_are_joined_by_number_whatever_order_they_came_in(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")
    assert put_part(store, upload_id, 2, LAST_PART).accepted
    assert put_part(store, upload_id, 1, FIRST_PART).accepted

    parts = store.storage.list_parts(KEY, upload_id)
    store.storage.complete_multipart(KEY, upload_id, parts=parts)

    assert [(part.number, part.size_bytes) for part in parts] == [(1, len(FIRST_PART)), (2, len(LAST_PART))]
    assert b"".join(store.storage.read(KEY)) == FIRST_PART + LAST_PART
    assert get(store).body == FIRST_PART + LAST_PART


def test_nobody_knows_the_sha256_of_joined_parts(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(store, upload_id, 1, DATA)
    store.storage.complete_multipart(KEY, upload_id, parts=store.storage.list_parts(KEY, upload_id))

    assert store.storage.stat(KEY) == StoredObject(size_bytes=len(DATA), sha256=None)


def test_an_unfinished_upload_is_no_object(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(store, upload_id, 1, DATA)

    assert store.storage.stat(KEY) is None


def test_a_part_sent_again_replaces_the_first(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(store, upload_id, 1, b"first try")
    put_part(store, upload_id, 1, DATA)

    (part,) = store.storage.list_parts(KEY, upload_id)

    assert part.size_bytes == len(DATA)


def test_a_listed_part_carries_its_sha256(strict_store: Store) -> None:
    upload_id = strict_store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(strict_store, upload_id, 1, DATA)

    (part,) = strict_store.storage.list_parts(KEY, upload_id)

    assert part.sha256 == sha256(DATA)


def test_other_bytes_than_announced_are_refused_as_a_part(strict_store: Store) -> None:
    upload_id = strict_store.storage.create_multipart(KEY, media_type="image/jpeg")

    assert not put_part(strict_store, upload_id, 1, DATA, b"a field phot0").accepted

    assert strict_store.storage.list_parts(KEY, upload_id) == []


def test_an_aborted_upload_is_unknown_and_may_be_aborted_again(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(store, upload_id, 1, DATA)

    store.storage.abort_multipart(KEY, upload_id)
    store.storage.abort_multipart(KEY, upload_id)

    with pytest.raises(UploadMissingError):
        store.storage.list_parts(KEY, upload_id)
    assert not put_part(store, upload_id, 1, DATA).accepted


def test_an_aborted_upload_cannot_be_completed(strict_store: Store) -> None:
    upload_id = strict_store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(strict_store, upload_id, 1, DATA)
    parts = strict_store.storage.list_parts(KEY, upload_id)
    strict_store.storage.abort_multipart(KEY, upload_id)

    with pytest.raises(UploadMissingError):
        strict_store.storage.complete_multipart(KEY, upload_id, parts=parts)


def test_a_part_that_never_came_cannot_be_joined(strict_store: Store) -> None:
    upload_id = strict_store.storage.create_multipart(KEY, media_type="image/jpeg")
    put_part(strict_store, upload_id, 1, DATA)
    (part,) = strict_store.storage.list_parts(KEY, upload_id)

    with pytest.raises(UploadMissingError):
        strict_store.storage.complete_multipart(KEY, upload_id, parts=[replace(part, number=2)])


def test_an_upload_without_parts_cannot_be_completed(store: Store) -> None:
    upload_id = store.storage.create_multipart(KEY, media_type="image/jpeg")

    with pytest.raises(UploadMissingError):
        store.storage.complete_multipart(KEY, upload_id, parts=[])


@pytest.mark.parametrize(
    ("file_name", "header"),
    [
        ("plan.pdf", "attachment; filename=\"plan.pdf\"; filename*=UTF-8''plan.pdf"),
        ("Größe.pdf", "attachment; filename=\"Groe.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf"),
        ("図.pdf", "attachment; filename=\".pdf\"; filename*=UTF-8''%E5%9B%B3.pdf"),
        ('a";b=%41.pdf', "attachment; filename=\"a__b=_41.pdf\"; filename*=UTF-8''a%22%3Bb%3D%2541.pdf"),
    ],
)
def test_an_attachment_is_named_for_old_and_new_clients(file_name: str, header: str) -> None:
    assert content_disposition(file_name) == header


@pytest.mark.parametrize(
    ("file_name", "clean"),
    [
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("C:\\plan", "C:_plan"),
        ("\ud800.txt", "?.txt"),
        ("\x00 ", "download"),
    ],
)
def test_a_file_name_is_made_safe_to_save_under(file_name: str, clean: str) -> None:
    assert clean_file_name(file_name) == clean
