"""The life of an export job: nothing is lost with a process, nothing is left behind, and what fails says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.models import ExportState, SiteExport
from app.schemas.site_export import SiteExportCreate
from app.services import export_worker, site_exports, site_tables
from app.services.export_files import PREFIX, ExportFault, Progress, sweep, workplace, write_export
from app.services.export_jobs import MAX_ATTEMPTS
from app.settings import Settings
from tests.support.cli import BACKEND
from tests.support.held_storage import HeldStorage
from tests.support.processes import table_writers
from tests.support.shed import LEASE, SITES, Shed, is_, open_shed
from tests.support.tools import wait_until
from tests.support.yard import REAPER


@pytest.fixture
def shed(settings: Settings) -> Iterator[Shed]:
    with open_shed(settings) as shed:
        yield shed


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
    storage = HeldStorage(shed.storage, "put")
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
    storage = HeldStorage(shed.storage, "put")
    with shed.worker(storage=storage) as worker, storage.held(lambda: None):
        shed.delete(job_id)
    wait_until(lambda: not worker._claims and not list(tmp_path.glob(f"{PREFIX}*")), timeout_seconds=10, what="its end")
    assert shed.objects() == []
    with shed.database.session(read_only=True) as session:
        assert session.get(SiteExport, job_id) is None


@pytest.mark.parametrize("form", ["csv", "geopackage"])
def test_a_job_that_is_deleted_while_it_is_written_ends_there(
    shed: Shed, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (site_exports, site_tables):
        monkeypatch.setattr(module, "FIRST_ROWS", 1)
        monkeypatch.setattr(module, "PAGE_ROWS", 1)
    job_id = shed.ask(form)
    stored = HeldStorage(shed.storage, "put")
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


def test_a_job_waits_for_a_process_that_can_write_it(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, other = shed.ask("geoparquet"), shed.ask("csv")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        with shed.worker():
            shed.wait(other, is_(ExportState.AVAILABLE), "a file")
        assert shed.jobs().claim(shed.database) is None
    row = shed.row(waiting)
    assert (row.state, row.attempts, row.failure) == (ExportState.PENDING, 0, None)

    with shed.worker():
        assert shed.wait(waiting, is_(ExportState.AVAILABLE), "an end by another process").sites == SITES


def test_a_job_that_nobody_takes_as_long_as_a_file_is_kept_has_failed(shed: Shed) -> None:
    waiting, young = shed.ask("geoparquet"), shed.ask("geoparquet")
    shed.change(waiting, created_at=datetime.now(UTC) - timedelta(days=1, minutes=1))
    with shed.database.session() as session:
        assert shed.jobs().reap(session, actor=REAPER) == 0
    told = shed.row(waiting)
    assert told.state == ExportState.FAILED
    assert told.failure == "No process of this installation has begun it: can one write geoparquet?"
    assert told.expires_at is not None
    assert shed.row(young).state == ExportState.PENDING


def test_a_file_that_becomes_too_large_is_given_up(shed: Shed) -> None:
    jobs = [shed.ask(form) for form in ("csv", "geoparquet", "geopackage", "flatgeobuf")]
    with shed.worker(max_bytes=4096):
        rows = [shed.wait(job_id, is_(ExportState.FAILED), "an end") for job_id in jobs]
    too_large = "The file is larger than 4096 bytes: ask for fewer sites, by a filter"
    assert {row.format: row.failure for row in rows} == dict.fromkeys((row.format for row in rows), too_large)
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


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("form", ["geoparquet", "geopackage"])
def test_a_job_whose_writing_process_was_killed_is_tried_again(
    shed: Shed, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = shed.ask(form)

    def killed(*arguments: Any, progress: Progress, **options: Any) -> Path:
        def kill(sites: int) -> None:
            progress(sites)
            for pid in table_writers():
                os.kill(pid, signal.SIGKILL)

        return write_export(*arguments, progress=kill, **options)

    with monkeypatch.context() as scarce:
        scarce.setattr(export_worker, "write_export", killed)
        with shed.worker(lease=timedelta(seconds=3)):
            told = shed.wait(job_id, lambda row: row.failure is not None, "a failure")
    assert (told.state, told.attempts) == (ExportState.PENDING, 1)
    assert told.failure == "The process that writes it was ended by signal 9; is memory short?"
    shed.change(job_id, due_at=datetime.now(UTC))
    with shed.worker():
        assert shed.wait(job_id, is_(ExportState.AVAILABLE), "a file").sites == SITES


@pytest.mark.parametrize("made", [tempfile.mkdtemp, os.open], ids=["before it is open", "before it is locked"])
def test_a_directory_that_another_process_sweeps_at_its_start_is_made_anew(
    made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def then_swept(*arguments: Any, **options: Any) -> Any:
        result = made(*arguments, **options)
        monkeypatch.undo()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        sweep()
        return result

    monkeypatch.setattr(sys.modules[made.__module__.replace("posix", "os")], made.__name__, then_swept)
    with workplace() as directory:
        (directory / "sites.gpkg").write_text("")
        sweep()
        assert (directory / "sites.gpkg").exists()


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
