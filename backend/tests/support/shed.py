"""Export jobs below the API: on a database and a store, with as many workers as a test starts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from app.artifacts.storage import ArtifactStorage
from app.artifacts.storage_factory import create_storage
from app.db.session import DatabaseSessionManager
from app.models import ExportState, Site, SiteExport
from app.schemas.site_export import SiteExportCreate
from app.services.changes import Actor
from app.services.export_jobs import Claim, ExportJobs
from app.services.export_worker import ExportWorker
from app.settings import ExportsSettings, Settings
from tests.support.secrets import SIGNING_KEY
from tests.support.tools import wait_until
from tests.support.yard import open_yard

LEASE = timedelta(seconds=0.3)
QUIET = timedelta(minutes=1)  # a lease that does not end in a test
SITES = 300


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


def is_(state: ExportState) -> Callable[[SiteExport], bool]:
    return lambda row: row.state == state


@contextmanager
def open_shed(settings: Settings) -> Iterator[Shed]:
    """A shed on the settings' database and store, with a user and sites."""
    with open_yard(settings) as yard:
        with yard.database.session() as session, session.begin():
            wkb = bytes.fromhex("0101000000000000000000f03f0000000000000040")
            for number in range(SITES):
                geom: Any = wkb if settings.database.url is None else f"SRID=4326;POINT({number % 180} 2)"
                site = Site(name=f"Well {number}", kind="well", properties={}, owner_id=yard.actor.id, geom=geom)
                session.add(site)
        yield Shed(yard.database, settings, yard.actor)
