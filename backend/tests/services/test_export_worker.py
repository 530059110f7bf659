"""The life of an export job: nothing is lost with a process, nothing is left behind, and what fails says why."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.artifacts.storage import ArtifactStorage
from app.artifacts.storage_factory import create_storage
from app.db.session import DatabaseSessionManager
from app.models import DeletedObject, ExportState, Site, SiteExport
from app.schemas.site_export import SiteExportCreate
from app.services import site_exports, site_tables
from app.services.changes import Actor
from app.services.export_files import PREFIX, ExportFault, sweep, workplace, write_export
from app.services.export_jobs import MAX_ATTEMPTS, Claim, ExportJobs
from app.services.export_worker import ExportWorker
from app.settings import ExportsSettings, Settings
from tests.support.cli import BACKEND
from tests.support.held_storage import HeldStorage
from tests.support.secrets import SIGNING_KEY
from tests.support.tools import wait_until
from tests.support.yard import REAPER, open_yard

LEASE = timedelta(seconds=0.3)
QUIET = timedelta(minutes=1)  # a lease that does not end in a test


class Shed:
    """Jobs on a database and a store, with as many workers as a test starts."""

    def __init__(self, database: DatabaseSessionManager, settings: Settings, actor: Actor) -> None:
        self.database = database
        self.actor = actor
        self.directory = settings.artifacts.directory
        self.storage = create_storage(settings, signing_key=SIGNING_KEY.encode())

    def jobs(self, *, lease: timedelta = QUIET, storage: Any = None, **options: Any) -> ExportJobs:
        settings = ExportsSettings(lease_seconds=lease, **options)
        chosen: ArtifactStorage = storage or self.storage
        return ExportJobs(chosen, settings, url_expires=timedelta(minutes=1))

    @contextmanager
    def worker(self, *, lease: timedelta = QUIET, storage: Any = None, **options: Any) -> Iterator[ExportWorker]:
        jobs = self.jobs(lease=lease, storage=storage, **options)
        with ExportWorker(jobs, self.database, ExportsSettings(lease_seconds=lease, **options)) as worker:
            yield worker

    def ask(self, form: str = "csv") -> uuid.UUID:
        with self.database.session() as session:
            body = SiteExportCreate.model_validate({"format": form})
            return self.jobs().create(session, body, actor=self.actor, key=None).id

    def delete(self, job_id: uuid.UUID) -> None:
        with self.database.session() as session:
            self.jobs().delete(session, job_id, actor=self.actor)

    def claim(self, **options: Any) -> Claim:
        claim = self.jobs(**options).claim(self.database)
        assert claim is not None
        return claim

    def row(self, job_id: uuid.UUID) -> SiteExport:
        with self.database.session(read_only=True) as session:
            row = session.get(SiteExport, job_id)
            assert row is not None
            return row

    def wait(self, job_id: uuid.UUID, condition: Callable[[SiteExport], bool], what: str) -> SiteExport:
        wait_until(lambda: condition(self.row(job_id)), timeout_seconds=20, what=what)
        return self.row(job_id)

    def ended(self, job_id: uuid.UUID) -> Callable[[], SiteExport]:
        return lambda: self.wait(job_id, lambda row: row.finished_at is not None, "an end")

    def objects(self) -> list[str]:
        return [path.name for path in self.directory.glob("objects/*")]

    def change(self, job_id: uuid.UUID, **values: Any) -> None:
        with self.database.session() as session, session.begin():
            session.execute(update(SiteExport).where(SiteExport.id == job_id).values(values))


@pytest.fixture
def shed(settings: Settings) -> Iterator[Shed]:
    with open_yard(settings) as yard:
        with yard.database.session() as session, session.begin():
            wkb = bytes.fromhex("0101000000000000000000f03f0000000000000040")
            for number in range(300):
                geom: Any = wkb if settings.database.url is None else f"SRID=4326;POINT({number % 180} 2)"
                site = Site(name=f"Well {number}", kind="well", properties={}, owner_id=yard.actor.id, geom=geom)
                session.add(site)
        yield Shed(yard.database, settings, yard.actor)


def is_(state: ExportState) -> Callable[[SiteExport], bool]:
    return lambda row: row.state == state


def test_a_job_is_one_process_s_at_a_time(shed: Shed) -> None:
    first, second = shed.ask(), shed.ask()
    assert {shed.claim().id, shed.claim().id} == {first, second}
    assert shed.jobs().claim(shed.database) is None


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_who_looks_for_a_job_does_not_wait_for_who_is_taking_one(shed: Shed) -> None:
    first, second = shed.ask(), shed.ask()
    with shed.database.session() as session, session.begin():
        session.scalars(select(SiteExport).where(SiteExport.id == first).with_for_update()).one()
        assert shed.claim().id == second


def test_a_job_whose_process_died_is_another_s_when_its_lease_is_over(shed: Shed) -> None:
    job_id = shed.ask()
    lost = shed.claim(lease=LEASE)  # by a process that says nothing more

    with shed.worker(lease=LEASE):
        row = shed.wait(job_id, is_(ExportState.AVAILABLE), "an end by another process")

    assert (row.attempts, row.sites) == (2, 300)
    assert shed.jobs().renew(shed.database, lost) is False
    shed.jobs().fail(shed.database, lost, failure="too late")
    assert shed.row(job_id).state == ExportState.AVAILABLE


def test_a_lease_is_renewed_while_the_job_is_at_work(shed: Shed) -> None:
    job_id = shed.ask()
    storage = HeldStorage(shed.storage, "put_file")
    with (
        shed.worker(lease=LEASE, storage=storage),
        storage.held(shed.ended(job_id)),
    ):
        first = shed.row(job_id).due_at
        wait_until(lambda: shed.row(job_id).due_at > first + 2 * LEASE, timeout_seconds=10, what="renewals")
        assert shed.jobs(lease=LEASE).claim(shed.database) is None
    assert shed.row(job_id).attempts == 1


def test_what_ends_each_process_that_tries_it_is_given_up(shed: Shed) -> None:
    job_id = shed.ask()
    shed.change(job_id, attempts=MAX_ATTEMPTS, state=ExportState.RUNNING)
    assert shed.jobs().claim(shed.database) is None
    row = shed.row(job_id)
    assert row.state == ExportState.FAILED
    assert row.failure == "Each process that began to write it has ended before it was done"
    assert row.expires_at is not None


def test_a_worker_that_is_stopped_gives_its_job_back(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_exports, "FIRST_ROWS", 1)
    monkeypatch.setattr(site_exports, "PAGE_ROWS", 1)  # long enough to be met at work
    job_id = shed.ask()
    with shed.worker():
        shed.wait(job_id, is_(ExportState.RUNNING), "a start")
    row = shed.row(job_id)
    assert (row.state, row.attempts, row.claim) == (ExportState.PENDING, 0, None)

    monkeypatch.undo()
    with shed.worker():
        assert shed.wait(job_id, is_(ExportState.AVAILABLE), "an end").sites == 300


@pytest.mark.parametrize("form", ["csv", "geopackage"])
def test_a_job_that_is_deleted_at_work_leaves_nothing(
    shed: Shed, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    job_id = shed.ask(form)
    storage = HeldStorage(shed.storage, "put_file")
    with shed.worker(storage=storage) as worker, storage.held(lambda: None):
        shed.delete(job_id)
    wait_until(lambda: not worker._claims and not list(tmp_path.glob(f"{PREFIX}*")), timeout_seconds=10, what="its end")
    assert shed.objects() == []
    with shed.database.session(read_only=True) as session:
        assert session.get(SiteExport, job_id) is None
        assert session.scalars(select(DeletedObject.storage_key)).one().startswith(f"exports/{job_id}/sites-")


@pytest.mark.parametrize("form", ["csv", "geopackage"])
def test_a_job_that_is_deleted_while_it_is_written_ends_there(
    shed: Shed, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (site_exports, site_tables):
        monkeypatch.setattr(module, "FIRST_ROWS", 1)
        monkeypatch.setattr(module, "PAGE_ROWS", 1)
    job_id = shed.ask(form)
    stored = HeldStorage(shed.storage, "put_file")
    with shed.worker(lease=LEASE, storage=stored) as worker:
        shed.wait(job_id, is_(ExportState.RUNNING), "a start")
        shed.delete(job_id)
        wait_until(lambda: not worker._claims, timeout_seconds=10, what="its end")
    assert not stored._reached.is_set()


def test_with_the_store_away_it_says_so_and_is_tried_again(shed: Shed) -> None:
    shed.directory.mkdir(parents=True)
    obstacle = shed.directory / "objects"
    obstacle.write_text("a file where a directory should be")
    job_id = shed.ask()
    with shed.worker(lease=LEASE):
        row = shed.wait(job_id, lambda row: row.failure is not None, "a failure")
        assert row.state in {ExportState.PENDING, ExportState.RUNNING}
        assert row.failure == "The artifact store is away"
        obstacle.unlink()
        row = shed.wait(job_id, is_(ExportState.AVAILABLE), "a success")
    assert (row.failure, row.attempts > 1) == (None, True)


def test_with_the_store_away_for_long_it_fails(shed: Shed) -> None:
    shed.directory.mkdir(parents=True)
    (shed.directory / "objects").write_text("")
    job_id = shed.ask()
    shed.change(job_id, attempts=MAX_ATTEMPTS - 1)
    with shed.worker():
        row = shed.wait(job_id, is_(ExportState.FAILED), "an end")
    assert row.failure == "The artifact store is away"


def test_a_job_that_a_newer_version_made_ends_and_the_next_one_has_its_turn(shed: Shed) -> None:
    newer, job_id = shed.ask("csv"), shed.ask("csv")
    shed.change(newer, filters={"of_the_future": True})
    with shed.worker():
        failed = shed.wait(newer, is_(ExportState.FAILED), "an end")
        shed.wait(job_id, is_(ExportState.AVAILABLE), "a file")
    assert failed.failure == "This version of the service does not know what is asked for"


@pytest.mark.parametrize("form", ["csv", "geoparquet", "geopackage", "flatgeobuf"])
def test_a_file_that_becomes_too_large_is_given_up(shed: Shed, form: str) -> None:
    job_id = shed.ask(form)
    with shed.worker(max_bytes=4096):
        row = shed.wait(job_id, is_(ExportState.FAILED), "an end")
    assert row.failure == "The file is larger than 4096 bytes: ask for fewer sites, by a filter"
    assert shed.objects() == []


NO_SPACE = "There is no space left to write the file: try later, or ask for fewer sites, by a filter"
ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from app.db.session import DatabaseSessionManager
from app.schemas.site_export import SiteExportCreate
from app.services.export_files import ExportFault, write_export
from app.settings import load_settings
with DatabaseSessionManager(load_settings().database) as database:
    for form in sys.argv[2:]:
        wanted = SiteExportCreate.model_validate({"format": form})
        try:
            write_export(database, wanted, Path(sys.argv[1]), max_bytes=10**9, progress=lambda more: None)
        except ExportFault as fault:
            print(form, fault)
        for file in Path(sys.argv[1]).iterdir():
            file.unlink()
"""


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_as_such(shed: Shed, settings: Settings, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    forms = ["geojson", "geoparquet", "geopackage", "flatgeobuf"]
    mounted = f'mount -t tmpfs -o size=4k tmpfs {disk} && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare may not mount here")
    done = subprocess.run(
        [*command, sys.executable, "-c", ON_A_SMALL_DISK, disk, *forms],
        env={
            **os.environ,
            "DATABASE_SQLITE_PATH": str(settings.database.sqlite_path),
            "PYTHONPATH": str(BACKEND),
        },
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [f"{form} {NO_SPACE}" for form in forms]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_gdals_own_reason_is_told(shed: Shed, tmp_path: Path) -> None:
    (tmp_path / "sites.gpkg").mkdir()
    with pytest.raises(ExportFault, match=r"The file could not be written: .*sites\.gpkg"):
        write_export(
            shed.database,
            SiteExportCreate(format="geopackage"),
            tmp_path,
            max_bytes=10**9,
            progress=lambda _sites: None,
        )


def test_what_a_killed_process_left_is_swept_and_what_is_at_work_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (left := tmp_path / f"{PREFIX}left").mkdir()
    (left / "sites.gpkg").write_text("half")
    (tmp_path / "another's").mkdir()
    with workplace() as directory:
        sweep()
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "another's", directory])
    assert list(tmp_path.iterdir()) == [tmp_path / "another's"]


def test_what_has_expired_is_deleted_with_its_file(shed: Shed) -> None:
    old, fresh, broken = shed.ask(), shed.ask(), shed.ask()
    with shed.worker():
        for job_id in (old, fresh, broken):
            shed.wait(job_id, is_(ExportState.AVAILABLE), "an end")
    assert len(shed.objects()) == 3
    past = datetime.now(UTC) - timedelta(seconds=1)
    shed.change(old, expires_at=past)
    shed.change(broken, expires_at=past, state=ExportState.FAILED)

    with shed.database.session() as session:
        assert shed.jobs().reap(session, actor=REAPER) == 2

    assert [name.split("~")[1] for name in shed.objects()] == [str(fresh)]
    with shed.database.session(read_only=True) as session:
        assert session.scalars(select(SiteExport.id)).all() == [fresh]


def test_an_expired_file_has_no_url_even_before_the_reaper_runs(shed: Shed) -> None:
    job_id = shed.ask()
    with shed.worker():
        shed.wait(job_id, is_(ExportState.AVAILABLE), "an end")
    shed.change(job_id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with shed.database.reading() as connection:
        assert shed.jobs().read(connection, job_id, actor=shed.actor)[1] is None
