"""Each attempt at an export writes an object of its own: the row's is never another's, and no other one stays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from app.models import ExportState, SiteExport
from app.services.export_jobs import Claim
from app.settings import Settings
from tests.support.held_storage import HeldStorage
from tests.support.shed import LEASE, Shed, is_, open_shed
from tests.support.yard import REAPER, Yard

HALF = b"what a process wrote that lost the job"


@pytest.fixture
def shed(settings: Settings) -> Iterator[Shed]:
    with open_shed(settings) as shed:
        yield shed


def finish(shed: Shed, claim: Claim, *, storage: Any = None) -> None:
    shed.jobs(lease=LEASE, storage=storage).finish(shed.database, claim, io.BytesIO(HALF), size=len(HALF), sites=1)


def reap_deleted_objects(shed: Shed, settings: Settings) -> None:
    """As the reaper does when a URL for them is good no longer."""
    yard = Yard(database=shed.database, storage=shed.storage, settings=settings.artifacts, actor=REAPER)
    yard.age_deletions(timedelta(days=2))
    yard.reap()


def test_who_lost_the_job_overwrites_no_file_and_takes_its_own_away(shed: Shed) -> None:
    job_id = shed.ask()
    late = shed.claim(lease=LEASE)
    storage = HeldStorage(shed.storage, "put")
    with storage.held(lambda: finish(shed, late, storage=storage)) as done:
        with shed.worker(lease=LEASE):
            shed.wait(job_id, is_(ExportState.AVAILABLE), "an end by another process")
        told = shed.row(job_id)
    done.result()

    assert told.storage_key is not None
    content = b"".join(shed.storage.read(told.storage_key))
    assert (len(content), content.count(b"Well")) == (told.size_bytes, 300)
    assert len(shed.objects()) == 1


def test_who_lost_the_job_before_its_file_was_whole_sends_none(shed: Shed) -> None:
    shed.ask()
    late = shed.claim()
    shed.delete(late.id)
    storage = HeldStorage(shed.storage, "put")
    finish(shed, late, storage=storage)
    assert not storage._reached.is_set()


class _KilledError(BaseException):
    """The process is no more."""


class DeadlyStorage:
    """An `ArtifactStorage` whose operation the process does not outlive."""

    def __init__(self, inner: Any, operation: str) -> None:
        self._inner = inner
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def last(*arguments: Any, **options: Any) -> None:
            method(*arguments, **options)
            raise _KilledError

        return last if name == self._operation else method


def test_a_file_whose_process_died_before_it_said_so_is_reaped(shed: Shed, settings: Settings) -> None:
    job_id = shed.ask()
    with pytest.raises(_KilledError):
        finish(shed, shed.claim(lease=LEASE), storage=DeadlyStorage(shed.storage, "put"))
    assert len(shed.objects()) == 1
    with shed.worker(lease=LEASE):
        told = shed.wait(job_id, is_(ExportState.AVAILABLE), "an end by another process")
    assert len(shed.objects()) == 2

    reap_deleted_objects(shed, settings)

    assert shed.storage.stat(str(told.storage_key)) is not None
    assert len(shed.objects()) == 1


def test_a_late_file_whose_process_died_before_it_was_taken_away_is_reaped(shed: Shed, settings: Settings) -> None:
    shed.ask()
    late = shed.claim()
    storage = HeldStorage(DeadlyStorage(shed.storage, "delete"), "put")
    with storage.held(lambda: finish(shed, late, storage=storage)) as done:
        shed.delete(late.id)
    assert isinstance(done.exception(), _KilledError)
    shed.storage.put(late.key, io.BytesIO(HALF), media_type="text/csv")  # it had died a moment earlier

    reap_deleted_objects(shed, settings)

    assert shed.objects() == []


def test_the_reaper_leaves_the_file_of_a_job(shed: Shed, settings: Settings) -> None:
    job_id = shed.ask()
    with shed.worker():
        told = shed.wait(job_id, is_(ExportState.AVAILABLE), "an end")
    reap_deleted_objects(shed, settings)
    assert shed.storage.stat(str(told.storage_key)) is not None


def test_a_file_whose_job_an_older_version_deleted_is_reaped(shed: Shed, settings: Settings) -> None:
    """After a rollback: the older code looks for another key, and forgets the job."""
    job_id = shed.ask()
    with shed.worker():
        shed.wait(job_id, is_(ExportState.AVAILABLE), "an end")
    with shed.database.session() as session, session.begin():
        session.execute(delete(SiteExport).where(SiteExport.id == job_id))

    reap_deleted_objects(shed, settings)

    assert shed.objects() == []


def test_what_an_older_version_wrote_is_downloaded_and_deleted(shed: Shed) -> None:
    job_id = shed.ask()
    with shed.worker():
        told = shed.wait(job_id, is_(ExportState.AVAILABLE), "an end")
    assert told.storage_key is not None
    shed.storage.delete(told.storage_key)
    key = f"exports/{job_id}/sites-{told.created_at:%Y-%m-%d}.csv"
    shed.storage.put(key, io.BytesIO(b"older"), media_type="text/csv")
    shed.change(job_id, storage_key=None)

    with shed.database.reading() as connection:
        request = shed.jobs().read(connection, job_id, actor=shed.actor)[1]
    assert request is not None
    assert key in request.url

    shed.delete(job_id)
    assert shed.objects() == []
