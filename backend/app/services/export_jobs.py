"""Exports as jobs: rows that say what is wanted and who writes it, and files in the artifact store."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.artifacts.storage import ArtifactStorage, OpenFile, PresignedRequest
from app.db.session import DatabaseSessionManager, why
from app.db.types import Database
from app.errors import LandfallError, NotFoundError, TooManyExportsError
from app.models import DeletedObject, ExportState, SiteExport, UserRole
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.queries.site_exports import (
    EXPORT,
    UNFINISHED,
    fetch_exports,
    find_expired_exports,
    has_due_export,
    lock_due_export,
    lock_untaken_exports,
)
from app.queries.sites import fetch_site_rows
from app.schemas.site_export import SiteExportCreate, SiteExportListQuery
from app.services.changes import Actor, Once, audit, lock, once
from app.services.export_formats import KINDS, kind_of, unwritable
from app.services.sites import wanted
from app.settings import ExportsSettings

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
MAX_UNFINISHED = 10  # of one user's, so that others' get their turn


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that this process has until it finishes, gives it back, or lets its lease pass."""

    id: uuid.UUID
    token: uuid.UUID
    attempt: int
    wanted: SiteExportCreate

    @property
    def key(self) -> str:
        """No other attempt's: who lost the job while the file was on its way overwrites none."""
        return f"exports/{self.id}/{self.token}.{KINDS[self.wanted.format].suffix}"


class ExportJobs:
    """What requests and workers do to the jobs."""

    def __init__(self, storage: ArtifactStorage, settings: ExportsSettings, *, url_expires: timedelta) -> None:
        self._storage = storage
        self._settings = settings
        self._url_expires = url_expires

    def create(self, session: Session, body: SiteExportCreate, *, actor: Actor, key: Once | None) -> Answer:
        """Ask for a file; raises what the same export at once would, and `TooManyExportsError`."""
        kind_of(body.format)

        def work() -> Answer:
            area, condition = wanted(body)
            fetch_site_rows(
                session, body, area=area, condition=condition, after=None, limit=1
            )  # what the database says
            unfinished = select(func.count()).where(SiteExport.owner_id == actor.user_id, UNFINISHED)
            if (session.scalar(unfinished) or 0) >= MAX_UNFINISHED:
                raise TooManyExportsError(limit=MAX_UNFINISHED)
            fields = body.model_dump(mode="json", exclude={"format"}, exclude_unset=True)
            job = SiteExport(
                owner_id=actor.user_id,
                format=body.format,
                filters=fields,
                state=ExportState.PENDING,
                due_at=datetime.now(UTC),  # by the clock of those who look for it, not the database's
            )
            session.add(job)
            session.flush()
            audit(session, actor, "site.export", job.id, format=body.format, **fields)
            return _answer(session, job.id)

        with session.begin():
            return once(session, key, work)

    def list(self, database: Database, query: SiteExportListQuery, *, actor: Actor) -> Rows:
        """One's own; an administrator's are all."""
        return fetch_exports(database, query, owner_id=None if actor.role == UserRole.ADMIN else actor.user_id)

    def read(self, database: Database, job_id: uuid.UUID, *, actor: Actor) -> tuple[Answer, PresignedRequest | None]:
        """A job, and how to download its file where there is one."""
        # In one statement, or what is told and what is to be downloaded may be of two moments.
        one = select(*SiteExport.__table__.columns, EXPORT.row.label("told")).where(SiteExport.id == job_id)
        job = _own(database.execute(one).first(), job_id, actor)
        request = None
        if job.state == ExportState.AVAILABLE and job.expires_at > datetime.now(UTC):
            request = self._storage.presign_get(
                _key(job),
                file_name=_file_name(job),
                media_type=KINDS[job.format].media_type,
                expires=self._url_expires,
            )
        return Answer(id=job_id, version=1, json=job.told), request

    def delete(self, session: Session, job_id: uuid.UUID, *, actor: Actor) -> None:
        """Forget a job and its file; who is writing it notices."""
        with session.begin():
            job = _own(lock(session, EXPORT, job_id), job_id, actor)
            # Kept for the reaper: the store may be away.
            session.merge(DeletedObject(storage_key=_key(job), deleted_at=datetime.now(UTC)))
            session.delete(job)
            audit(session, actor, "site.export.delete", job_id)
        try:
            self._storage.delete(_key(job))
        except LandfallError as error:
            logger.warning("The file of the export %s stays until the reaper runs: %s", job_id, why(error))

    def reap(self, session: Session, *, actor: Actor) -> int:
        """Delete what has expired, files first; says how many. What nobody took for as long has failed."""
        now = datetime.now(UTC)
        with session.begin():
            for job in lock_untaken_exports(session, before=now - self._settings.kept_seconds):
                self._end(job, failure=f"No process of this installation has begun it: can one write {job.format}?")
            expired = find_expired_exports(session, now=now)
        for job_id in expired:
            with suppress(NotFoundError):  # deleted before its turn came
                self.delete(session, job_id, actor=actor)
        return len(expired)

    def claim(self, database: DatabaseSessionManager) -> Claim | None:
        """Take a job that nobody has, or whose process has not renewed its lease."""
        others = unwritable()  # by this process, that is; a deployment that is being updated may have another
        while True:
            now = datetime.now(UTC)
            with database.reading() as connection:
                # Most often; on SQLite a lock would keep writers out.
                if not has_due_export(connection, now=now, others=others):
                    return None
            with database.session() as session, session.begin():
                job = lock_due_export(session, now=now, others=others)
                if job is None:
                    return None
                try:
                    asked = SiteExportCreate(format=job.format, **job.filters)
                except ValidationError:  # made by a newer version of the service, before it was rolled back
                    self._end(job, failure="This version of the service does not know what is asked for")
                    continue
                if job.attempts >= MAX_ATTEMPTS:
                    self._end(
                        job, failure=job.failure or "Each process that began to write it has ended before it was done"
                    )
                    continue
                job.state, job.claim = ExportState.RUNNING, uuid.uuid4()
                job.attempts += 1
                job.due_at = now + self._settings.lease_seconds
                return Claim(id=job.id, token=job.claim, attempt=job.attempts, wanted=asked)

    def renew(self, database: DatabaseSessionManager, claim: Claim) -> bool:
        """Whether it is still this process's."""
        with database.session() as session, session.begin():
            return _change(session, claim, due_at=datetime.now(UTC) + self._settings.lease_seconds)

    def give_back(self, database: DatabaseSessionManager, claim: Claim) -> None:
        """Leave it to another process, as if it had not been begun."""
        self._release(database, claim, attempts=claim.attempt - 1, due_at=datetime.now(UTC))

    def retry(self, database: DatabaseSessionManager, claim: Claim, *, failure: str) -> None:
        """Have it tried again after a pause, which grows; the last time it has failed."""
        if claim.attempt >= MAX_ATTEMPTS:
            self.fail(database, claim, failure=failure)
        else:
            due_at = datetime.now(UTC) + self._settings.lease_seconds * claim.attempt
            self._release(database, claim, failure=failure, due_at=due_at)

    def fail(self, database: DatabaseSessionManager, claim: Claim, *, failure: str) -> None:
        with database.session() as session, session.begin():
            job = session.scalars(select(SiteExport).where(*_held(claim)).with_for_update()).one_or_none()
            if job is not None:
                self._end(job, failure=failure)

    def finish(self, database: DatabaseSessionManager, claim: Claim, file: OpenFile, *, size: int, sites: int) -> None:
        """Store the file and say so; where the job is this process's no longer, nothing of it stays."""
        if not self._announce(database, claim):
            return
        self._storage.put(claim.key, file, media_type=KINDS[claim.wanted.format].media_type)
        now = datetime.now(UTC)
        expires_at = now + self._settings.kept_seconds
        with database.session() as session, session.begin():
            done = _change(
                session,
                claim,
                state=ExportState.AVAILABLE,
                claim=None,
                storage_key=claim.key,
                sites=sites,
                size_bytes=size,
                failure=None,
                finished_at=now,
                expires_at=expires_at,
            )
            if done:
                # It stays on the list until then: an older version, after a rollback, knows no other way to the file.
                session.merge(DeletedObject(storage_key=claim.key, deleted_at=expires_at))
        if not done:
            self._storage.delete(claim.key)

    def _announce(self, database: DatabaseSessionManager, claim: Claim) -> bool:
        """Put the file to come on the reaper's list: whenever this process ends, the file is a job's or goes."""
        now = datetime.now(UTC)
        with database.session() as session, session.begin():
            if held := _change(session, claim, due_at=now + self._settings.lease_seconds):
                session.merge(DeletedObject(storage_key=claim.key, deleted_at=now))
        return held

    def _end(self, job: SiteExport, *, failure: str) -> None:
        now = datetime.now(UTC)
        job.state, job.claim, job.failure = ExportState.FAILED, None, failure
        job.finished_at, job.expires_at = now, now + self._settings.kept_seconds

    def _release(self, database: DatabaseSessionManager, claim: Claim, **values: Any) -> None:
        with database.session() as session, session.begin():
            _change(session, claim, state=ExportState.PENDING, claim=None, **values)


def _held(claim: Claim) -> tuple[Any, ...]:
    return SiteExport.id == claim.id, SiteExport.claim == claim.token


def _change(session: Session, held: Claim, **values: Any) -> bool:
    changed = session.execute(update(SiteExport).where(*_held(held)).values(values).returning(SiteExport.id))
    return changed.first() is not None


def _own(job: Any, job_id: uuid.UUID, actor: Actor) -> Any:
    """Another's is as if it were not there."""
    if job is None or (job.owner_id != actor.id and actor.role != UserRole.ADMIN):
        raise NotFoundError(noun=EXPORT.name, id=str(job_id))
    return job


def _answer(database: Database, job_id: uuid.UUID) -> Answer:
    text = database.execute(select(EXPORT.row).where(SiteExport.id == job_id)).scalar_one()
    return Answer(id=job_id, version=1, json=text)


def _file_name(job: Any) -> str:
    return f"sites-{job.created_at:%Y-%m-%d}.{KINDS[job.format].suffix}"


def _key(job: Any) -> str:
    return job.storage_key or f"exports/{job.id}/{_file_name(job)}"  # where an older version wrote it
