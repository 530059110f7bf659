"""What happens at the same time, and what the reaper does; the API's own tests tell the rest."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.errors import ArtifactStateError, NotFoundError, StorageUnavailableError, UploadMissingError
from app.models import ArtifactState, DeletedObject
from app.services.artifacts import Multipart, Reaped, Single
from app.services.verification import Verifier
from app.settings import Settings
from tests.support.failing import Failing
from tests.support.held_storage import HeldStorage
from tests.support.tools import wait_until
from tests.support.yard import ANY_VERSION, DATA, PART, Yard, key, open_yard

DAY = timedelta(days=1)
PENDING, VERIFYING, AVAILABLE, FAILED = ArtifactState


@pytest.fixture
def yard(settings: Settings) -> Iterator[Yard]:
    with open_yard(settings) as yard:
        yield yard


@pytest.mark.parametrize("data", [DATA, PART], ids=["single", "multipart"])
def test_of_two_completions_at_once_both_succeed_and_one_counts(yard: Yard, data: bytes) -> None:
    artifact_id = yard.uploaded(data)
    storage = HeldStorage(yard.storage, "stat", after=True)

    with storage.held(lambda: yard.complete(artifact_id, yard.service(storage))) as slower:
        faster = yard.complete(artifact_id)

    assert (faster.changed, slower.result().changed) == (True, False)
    assert slower.result().answer == faster.answer
    assert yard.actions(artifact_id) == ["complete", "create"]


def test_a_completion_whose_parts_another_joined_meanwhile_succeeds(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    storage = HeldStorage(yard.storage, "complete_multipart")

    with storage.held(lambda: yard.complete(artifact_id, yard.service(storage))) as slower:
        yard.complete(artifact_id)

    assert slower.result().state == VERIFYING


def test_a_completion_that_is_late_for_the_verification_succeeds(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    storage = HeldStorage(yard.storage, "stat", after=True)

    with storage.held(lambda: yard.complete(artifact_id, yard.service(storage))) as slower:
        yard.complete(artifact_id)
        yard.call(yard.service().verify, artifact_id)

    assert (slower.result().state, slower.result().changed) == (AVAILABLE, False)


@pytest.mark.parametrize(
    ("end", "error"), [(Yard.abort, ArtifactStateError), (Yard.delete, NotFoundError)], ids=["abort", "delete"]
)
def test_a_completion_does_not_bring_back_what_was_given_up(
    yard: Yard, end: Callable[[Yard, uuid.UUID], None], error: type[Exception]
) -> None:
    artifact_id = yard.uploaded()
    storage = HeldStorage(yard.storage, "stat", after=True)

    with storage.held(lambda: yard.complete(artifact_id, yard.service(storage))) as completing:
        end(yard, artifact_id)

    assert isinstance(completing.exception(), error)
    assert yard.state(artifact_id) != AVAILABLE
    assert not yard.has_bytes(artifact_id)


def test_of_two_beginnings_of_a_multipart_upload_one_is_kept_and_used_by_both(yard: Yard) -> None:
    artifact_id = yard.announce(PART)
    storage = HeldStorage(yard.storage, "create_multipart", after=True)

    with storage.held(lambda: yard.ask_for_part(artifact_id, yard.service(storage))) as slower:
        yard.ask_for_part(artifact_id)

    row = yard.row(artifact_id)
    assert row is not None
    assert row.upload_id is not None
    assert row.upload_id in slower.result()[0][1].url
    assert len(unfinished_uploads(yard)) == 1


@pytest.mark.parametrize("end", [Yard.abort, Yard.delete], ids=["abort", "delete"])
def test_a_multipart_upload_that_begins_while_it_is_given_up_leaves_nothing_at_the_store(
    yard: Yard, end: Callable[[Yard, uuid.UUID], None]
) -> None:
    artifact_id = yard.announce(PART)
    storage = HeldStorage(yard.storage, "create_multipart", after=True)

    with storage.held(lambda: yard.ask_for_part(artifact_id, yard.service(storage))) as asking:
        end(yard, artifact_id)

    assert isinstance(asking.exception(), ArtifactStateError | NotFoundError)
    assert unfinished_uploads(yard) == []


def unfinished_uploads(yard: Yard) -> list[Path]:
    return list(yard.directory.glob("multipart/*"))


def test_of_two_deletions_at_once_the_slower_finds_nothing_left(yard: Yard) -> None:
    artifact_id = yard.uploaded()
    storage = HeldStorage(yard.storage, "delete")
    delete = yard.service(storage).delete

    with storage.held(lambda: yard.call(delete, artifact_id, if_match=ANY_VERSION)) as slower:
        yard.delete(artifact_id)

    assert isinstance(slower.exception(), NotFoundError)


def test_a_verification_does_not_bring_back_what_was_deleted(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    yard.complete(artifact_id)
    storage = HeldStorage(yard.storage, "read", after=True)

    with storage.held(lambda: yard.call(yard.service(storage).verify, artifact_id)) as verifying:
        yard.delete(artifact_id)

    assert isinstance(verifying.exception(), NotFoundError)
    assert yard.state(artifact_id) is None


def test_bytes_that_vanished_before_they_were_verified_fail(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    yard.complete(artifact_id)
    yard.storage.delete(key(artifact_id))

    yard.call(yard.service().verify, artifact_id)

    row = yard.row(artifact_id)
    assert row is not None
    assert (row.state, row.failure) == (FAILED, "the uploaded bytes have gone")


def test_what_cannot_be_verified_is_told_and_stays_for_the_reaper(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "app.services.verification")
    artifact_id = yard.uploaded(PART)
    yard.complete(artifact_id)
    objects = yard.directory / "objects"
    objects.rename(objects.with_name("elsewhere"))
    objects.write_text("")  # no directory
    verifier = Verifier(yard.service(), yard.database, retry_seconds=(0.01, 0.01))
    verifier.start()

    verifier.submit(artifact_id, actor=yard.actor)

    wait_until(lambda: "until the reaper runs" in caplog.text, timeout_seconds=5, what="a warning")
    verifier.stop()
    assert "Not a directory" in caplog.text
    assert caplog.text.count("next try") == 2
    assert yard.state(artifact_id) == VERIFYING


def test_a_verification_that_failed_is_tried_again(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    yard.complete(artifact_id)
    storage: Any = Failing(yard.storage, "read", times=2)
    verifier = Verifier(yard.service(storage), yard.database, retry_seconds=(0.01, 0.01))
    verifier.start()

    verifier.submit(artifact_id, actor=yard.actor)

    wait_until(lambda: yard.state(artifact_id) == AVAILABLE, timeout_seconds=5, what="the third try")
    verifier.stop()
    assert yard.actions(artifact_id) == ["complete", "create", "verify"]


def test_what_a_process_left_unverified_the_next_one_finishes(yard: Yard) -> None:
    left, young = yard.uploaded(PART), yard.uploaded(PART)
    for artifact_id in (left, young):
        yard.complete(artifact_id)
    yard.age(left, timedelta(minutes=2))
    verifier = Verifier(yard.service(), yard.database)

    verifier.start()

    wait_until(lambda: yard.state(left) == AVAILABLE, timeout_seconds=5, what="the verification")
    verifier.stop()
    assert yard.state(young) == VERIFYING


def test_what_was_left_just_before_is_finished_when_it_is_old_enough(yard: Yard) -> None:
    left = yard.uploaded(PART)
    yard.complete(left)
    verifier = Verifier(yard.service(), yard.database, others_work=timedelta(seconds=1))

    verifier.start()

    wait_until(lambda: yard.state(left) == AVAILABLE, timeout_seconds=10, what="the verification")
    verifier.stop()


def test_a_database_that_is_away_at_the_start_is_asked_again(yard: Yard) -> None:
    left = yard.uploaded(PART)
    yard.complete(left)
    yard.age(left, timedelta(minutes=2))
    service: Any = Failing(yard.service(), "unverified", times=1)
    verifier = Verifier(service, yard.database, retry_seconds=(0.01,))

    verifier.start()

    wait_until(lambda: yard.state(left) == AVAILABLE, timeout_seconds=5, what="the verification")
    verifier.stop()


@pytest.mark.parametrize("changes", [{"part_size_bytes": 7 * 1024**2}, {"multipart_threshold_bytes": 64 * 1024**2}])
def test_an_upload_under_way_outlives_a_change_of_the_settings(yard: Yard, changes: dict[str, int]) -> None:
    data = PART + b"the rest"
    begun = yard.announce(data)
    yard.ask_for_part(begun)
    yard.settings = yard.settings.model_copy(update=changes)

    assert len(yard.ask_for_part(begun)) == 1
    with yard.database.session() as session:
        assert yard.service().upload(session, begun) == Multipart(part_size_bytes=len(PART), part_count=2)
        with pytest.raises(UploadMissingError, match="part 1 of 2"):
            yard.complete(begun)


def test_a_single_upload_stays_one_when_the_threshold_falls(yard: Yard) -> None:
    announced = yard.announce()
    yard.settings = yard.settings.model_copy(update={"multipart_threshold_bytes": 1})

    with yard.database.session() as session:
        assert isinstance(yard.service().upload(session, announced), Single)
    with pytest.raises(ArtifactStateError):
        yard.ask_for_part(announced)


def test_the_reaper_removes_what_was_never_completed_and_leaves_what_is_fresh(yard: Yard) -> None:
    old, fresh = yard.uploaded(), yard.uploaded()
    yard.age(old, DAY * 2)

    assert yard.reap() == Reaped(removed=1, verified=0, failed=0)

    assert (yard.state(old), yard.has_bytes(old)) == (None, False)
    assert (yard.state(fresh), yard.has_bytes(fresh)) == (PENDING, True)
    assert yard.actions(old) == ["create", "reap"]


def test_the_reaper_ends_the_multipart_upload_too(yard: Yard) -> None:
    artifact_id = yard.uploaded(PART)
    row = yard.row(artifact_id)
    assert row is not None
    assert row.upload_id is not None
    yard.age(artifact_id, DAY * 2)

    yard.reap()

    with pytest.raises(UploadMissingError):
        yard.storage.list_parts(key(artifact_id), row.upload_id)


def test_the_reaper_removes_what_failed_when_people_had_time_to_see_it(yard: Yard) -> None:
    artifact_id = yard.announce()
    yard.abort(artifact_id)

    assert yard.reap().removed == 0
    yard.age(artifact_id, DAY * 2)
    assert yard.reap().removed == 1


def test_the_reaper_finishes_a_verification_that_lost_its_process(yard: Yard) -> None:
    lost, under_way = yard.uploaded(PART), yard.uploaded(PART)
    for artifact_id in (lost, under_way):
        yard.complete(artifact_id)
    yard.age(lost, timedelta(hours=1))

    assert yard.reap() == Reaped(removed=0, verified=1, failed=0)

    assert (yard.state(lost), yard.state(under_way)) == (AVAILABLE, VERIFYING)


def test_a_completion_wins_over_the_reaper_and_progress_is_told(yard: Yard) -> None:
    first, second = yard.uploaded(), yard.uploaded()
    yard.age(first, DAY * 3)
    yard.age(second, DAY * 2)
    told = []

    def complete_the_second(done: int, total: int) -> None:
        told.append((done, total))
        if done == 1:
            yard.complete(second)

    assert yard.reap(complete_the_second) == Reaped(removed=1, verified=0, failed=0)

    assert told == [(1, 2), (2, 2)]
    assert (yard.state(second), yard.has_bytes(second)) == (AVAILABLE, True)


def test_bytes_that_a_late_upload_brought_back_are_swept_once_no_upload_can_be_under_way(yard: Yard) -> None:
    artifact_id = yard.uploaded()
    yard.delete(artifact_id)
    yard.storage.put(key(artifact_id), BytesIO(DATA), media_type="image/jpeg")

    yard.reap()
    assert yard.has_bytes(artifact_id)
    yard.age_deletions(DAY * 2)
    yard.reap()

    assert not yard.has_bytes(artifact_id)
    with yard.database.session(read_only=True) as session:
        assert session.scalars(select(DeletedObject)).all() == []


def test_with_the_store_away_the_reaper_changes_nothing(yard: Yard) -> None:
    artifact_id = yard.uploaded()
    yard.age(artifact_id, DAY * 2)
    directory = yard.directory
    directory.rename(directory.with_name("elsewhere"))
    directory.write_text("")  # no directory

    with pytest.raises(StorageUnavailableError):
        yard.reap()

    assert yard.state(artifact_id) == PENDING


def test_what_could_not_be_reaped_is_told_and_tried_again_by_the_next_reaper(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    artifact_id = yard.uploaded()
    yard.abort(artifact_id)
    yard.age(artifact_id, DAY * 2)
    obstacle = yard.directory / "objects" / f"artifacts~{artifact_id}"
    obstacle.mkdir()

    assert yard.reap() == Reaped(removed=0, verified=0, failed=1)
    assert "Is a directory" in caplog.text
    obstacle.rmdir()
    assert yard.reap() == Reaped(removed=1, verified=0, failed=0)
