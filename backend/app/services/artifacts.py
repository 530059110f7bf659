"""Artifacts: the rows own the state, the store the bytes; no transaction is open while the store is asked."""

from __future__ import annotations

import hashlib
import logging
import math
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.artifacts.storage import ArtifactStorage, PresignedRequest, StoredPart
from app.db.session import why
from app.db.types import Database
from app.errors import (
    ArtifactStateError,
    ArtifactTooLargeError,
    LandfallError,
    NotFoundError,
    PartInvalidError,
    UploadMismatchError,
    UploadMissingError,
)
from app.models import Artifact, ArtifactState, DeletedObject
from app.queries.artifacts import ARTIFACT, fetch_artifacts, find_abandoned, find_deleted, find_verifying
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.schemas.artifact import MAX_PARTS, ArtifactCreate, ArtifactListQuery, ArtifactPatch, PartsWanted
from app.services.changes import Actor, IfMatch, Once, answer, audit, conflicts, lock, once
from app.settings import ArtifactSettings

logger = logging.getLogger(__name__)

VERIFYING_PATIENCE = timedelta(minutes=30)  # a verification that takes longer has lost its process
COMPLETED = frozenset({ArtifactState.VERIFYING, ArtifactState.AVAILABLE})
ENDED = frozenset({ArtifactState.AVAILABLE, ArtifactState.FAILED})


@dataclass(frozen=True, kw_only=True)
class Single:
    request: PresignedRequest


@dataclass(frozen=True, kw_only=True)
class Multipart:
    part_size_bytes: int
    part_count: int


@dataclass(frozen=True, kw_only=True)
class Moved:
    """An artifact after a change of state; `changed` is False where an earlier call had done it."""

    answer: Answer
    state: ArtifactState
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Reaped:
    """What a reaping did, in artifacts."""

    removed: int
    verified: int
    failed: int


class ArtifactService:
    """Uploads, downloads and their end, over one store."""

    def __init__(self, storage: ArtifactStorage, settings: ArtifactSettings) -> None:
        self._storage = storage
        self._settings = settings

    def read(self, database: Database, artifact_id: uuid.UUID) -> Answer:
        return answer(database, ARTIFACT, artifact_id)

    def list(self, database: Database, query: ArtifactListQuery) -> Rows:
        return fetch_artifacts(database, query)

    def create(self, session: Session, body: ArtifactCreate, *, actor: Actor, key: Once | None = None) -> Answer:
        """Announce an upload; raises `ArtifactTooLargeError`."""
        limit = min(self._settings.max_size_bytes, self._settings.part_size_bytes * MAX_PARTS)
        if body.size_bytes > limit:
            raise ArtifactTooLargeError(limit=limit)

        def work() -> Answer:
            fields = body.model_dump(exclude={"metadata"})
            artifact = Artifact(id=uuid.uuid4(), owner_id=actor.user_id, details=body.metadata, **fields)
            artifact.state = ArtifactState.PENDING
            artifact.storage_key = f"artifacts/{artifact.id}"
            if body.size_bytes >= self._settings.multipart_threshold_bytes:
                artifact.part_size_bytes = self._settings.part_size_bytes
            session.add(artifact)
            with conflicts("artifact"):
                session.flush()
            audit(session, actor, "artifact.create", artifact.id, file_name=body.file_name)
            return answer(session, ARTIFACT, artifact.id)

        with session.begin():
            return once(session, key, work)

    def upload(self, session: Session, artifact_id: uuid.UUID) -> Single | Multipart:
        """How to send the bytes; a single request's URL is new each time."""
        artifact = self._in_state(session, artifact_id, ArtifactState.PENDING)
        size = self._part_size(artifact)
        if size is not None:
            return Multipart(part_size_bytes=size, part_count=_part_count(artifact, size))
        request = self._storage.presign_put(
            artifact.storage_key,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            media_type=artifact.media_type,
            expires=self._settings.url_expires_seconds,
        )
        return Single(request=request)

    def part_requests(
        self, session: Session, artifact_id: uuid.UUID, wanted: PartsWanted
    ) -> Sequence[tuple[int, PresignedRequest]]:
        """A URL for each part that is asked for; the first call begins the upload at the store."""
        artifact, size = self._multipart(session, artifact_id)
        count = _part_count(artifact, size)
        if any(part.number > count for part in wanted.parts):
            raise PartInvalidError(count=count)
        upload_id = artifact.upload_id or self._begin_multipart(session, artifact)
        return [
            (
                part.number,
                self._storage.presign_part(
                    artifact.storage_key,
                    upload_id,
                    number=part.number,
                    size_bytes=min(size, artifact.size_bytes - size * (part.number - 1)),
                    sha256=part.sha256,
                    expires=self._settings.url_expires_seconds,
                ),
            )
            for part in wanted.parts
        ]

    def parts(self, session: Session, artifact_id: uuid.UUID) -> Sequence[StoredPart]:
        """What has arrived, so that a client that was interrupted sends only the rest."""
        artifact, _ = self._multipart(session, artifact_id)
        return self._storage.list_parts(artifact.storage_key, artifact.upload_id) if artifact.upload_id else []

    def complete(self, session: Session, artifact_id: uuid.UUID, *, actor: Actor) -> Moved:
        """Take over the uploaded bytes; the caller whose call made it `verifying` has it verified by `verify`.

        Raises `UploadMissingError` and `UploadMismatchError`, after which the client may upload again.
        """
        artifact = self._row(session, artifact_id)
        after = ArtifactState.VERIFYING
        if artifact.state not in COMPLETED:
            self._require(artifact, ArtifactState.PENDING)
            if self._take_over(artifact):
                after = ArtifactState.AVAILABLE
        return self._move(
            session, artifact_id, ArtifactState.PENDING, after, passed=COMPLETED, actor=actor, action="complete"
        )

    def verify(self, session: Session, artifact_id: uuid.UUID, *, actor: Actor) -> None:
        """Read the whole object and compare its SHA-256, as S3 keeps none of a multipart upload's whole.

        Raises `ArtifactStateError` and `NotFoundError` where it was verified or deleted meanwhile.
        """
        artifact = self._in_state(session, artifact_id, ArtifactState.VERIFYING)
        digest = hashlib.sha256()
        try:
            for chunk in self._storage.read(artifact.storage_key):
                digest.update(chunk)
        except UploadMissingError:
            failure: str | None = "the uploaded bytes have gone"
        else:
            failure = None if digest.hexdigest() == artifact.sha256 else "the uploaded bytes have another SHA-256"
        self._move(
            session,
            artifact_id,
            ArtifactState.VERIFYING,
            ArtifactState.FAILED if failure else ArtifactState.AVAILABLE,
            passed=ENDED,
            actor=actor,
            action="verify",
            failure=failure,
        )

    def unverified(self, session: Session, *, since: datetime | None, before: datetime) -> Sequence[uuid.UUID]:
        """What became `verifying` in that time and still is."""
        with session.begin():
            return find_verifying(session, since=since, before=before)

    def abort(self, session: Session, artifact_id: uuid.UUID, *, actor: Actor) -> Answer:
        """Give an upload up; its bytes are removed."""
        moved = self._move(
            session,
            artifact_id,
            ArtifactState.PENDING,
            ArtifactState.FAILED,
            passed=frozenset({ArtifactState.FAILED}),
            actor=actor,
            action="abort",
            failure="the upload was aborted",
        )
        self._remove_bytes(self._row(session, artifact_id))
        return moved.answer

    def download(self, session: Session, artifact_id: uuid.UUID) -> PresignedRequest:
        artifact = self._in_state(session, artifact_id, ArtifactState.AVAILABLE)
        return self._storage.presign_get(
            artifact.storage_key,
            file_name=artifact.file_name,
            media_type=artifact.media_type,
            expires=self._settings.url_expires_seconds,
        )

    def change(
        self, session: Session, artifact_id: uuid.UUID, body: ArtifactPatch, *, actor: Actor, if_match: IfMatch
    ) -> Answer:
        fields: dict[str, Any] = body.model_dump(exclude_unset=True)
        with session.begin():
            artifact = lock(session, ARTIFACT, artifact_id, if_match)
            for name, value in fields.items():
                setattr(artifact, "details" if name == "metadata" else name, value)
            with conflicts("artifact"):
                session.flush()
            audit(session, actor, "artifact.update", artifact_id, fields=sorted(fields))
            return answer(session, ARTIFACT, artifact_id)

    def delete(self, session: Session, artifact_id: uuid.UUID, *, actor: Actor, if_match: IfMatch) -> None:
        """Remove the bytes, then the row: with the store away the row stays, failed, and the reaper ends it."""
        with session.begin():
            artifact = lock(session, ARTIFACT, artifact_id, if_match)
            artifact.state, artifact.failure = ArtifactState.FAILED, "the artifact is being deleted"
            session.flush()
            audit(session, actor, "artifact.delete", artifact_id, file_name=artifact.file_name)
        self._remove(session, artifact)

    def reap(self, session: Session, *, actor: Actor, progress: Callable[[int, int], None]) -> Reaped:
        """Remove what was abandoned and finish what was left unverified; `progress` is told (done, of all).

        Raises `StorageUnavailableError`, with nothing changed, where the store is away from the start.
        """
        self._storage.check()
        now = datetime.now(UTC)
        patience = self._settings.pending_expires_seconds
        with session.begin():
            abandoned = find_abandoned(
                session, pending_before=now - patience, verifying_before=now - VERIFYING_PATIENCE
            )
            deleted = find_deleted(session, before=now - patience - self._settings.url_expires_seconds)
        steps: list[tuple[object, Callable[[], str]]] = [
            *((artifact_id, partial(self._reap_one, session, artifact_id, actor=actor)) for artifact_id in abandoned),
            *((key, partial(self._sweep, session, key)) for key in deleted),
        ]
        counts: Counter[str] = Counter()
        for done, (subject, step) in enumerate(steps, start=1):
            try:
                counts[step()] += 1
            except (NotFoundError, ArtifactStateError):
                logger.info("%s was deleted or completed before its turn came", subject)
            except LandfallError as error:
                counts["failed"] += 1
                logger.warning("%s could not be reaped: %s", subject, why(error))
            progress(done, len(steps))
        return Reaped(removed=counts["removed"], verified=counts["verified"], failed=counts["failed"])

    def _reap_one(self, session: Session, artifact_id: uuid.UUID, *, actor: Actor) -> str:
        if self._row(session, artifact_id).state == ArtifactState.VERIFYING:
            self.verify(session, artifact_id, actor=actor)
            return "verified"
        with session.begin():
            artifact = lock(session, ARTIFACT, artifact_id)
            # One that failed before is left as it is: a change would make it look fresh to the next reaper.
            if artifact.state != ArtifactState.FAILED:
                self._require(artifact, ArtifactState.PENDING)
                artifact.state, artifact.failure = ArtifactState.FAILED, "the upload was abandoned"
            audit(session, actor, "artifact.reap", artifact_id, file_name=artifact.file_name)
        self._remove(session, artifact)
        return "removed"

    def _sweep(self, session: Session, key: str) -> str:
        self._storage.delete(key)
        with session.begin():
            session.execute(delete(DeletedObject).where(DeletedObject.storage_key == key))
        return "swept"

    def _remove(self, session: Session, artifact: Artifact) -> None:
        """The bytes, then the row; its key is kept for the reaper, since a late upload brings bytes back."""
        self._remove_bytes(artifact)
        with session.begin():
            session.delete(lock(session, ARTIFACT, artifact.id))
            session.merge(DeletedObject(storage_key=artifact.storage_key, deleted_at=datetime.now(UTC)))

    def _remove_bytes(self, artifact: Artifact) -> None:
        if artifact.upload_id:
            self._storage.abort_multipart(artifact.storage_key, artifact.upload_id)
        self._storage.delete(artifact.storage_key)

    def _row(self, session: Session, artifact_id: uuid.UUID) -> Artifact:
        """The row as it is now, detached: whoever changes it must `lock` it and look again."""
        with session.begin():
            artifact = session.get(Artifact, artifact_id, populate_existing=True)
            if artifact is None:
                raise NotFoundError(noun=ARTIFACT.name, id=str(artifact_id))
            session.expunge(artifact)
        return artifact

    def _in_state(self, session: Session, artifact_id: uuid.UUID, state: ArtifactState) -> Artifact:
        artifact = self._row(session, artifact_id)
        self._require(artifact, state)
        return artifact

    def _require(self, artifact: Artifact, state: ArtifactState) -> None:
        if artifact.state != state:
            raise ArtifactStateError(state=str(artifact.state), expected=str(state))

    def _multipart(self, session: Session, artifact_id: uuid.UUID) -> tuple[Artifact, int]:
        """A pending multipart upload and the size of its parts."""
        artifact = self._in_state(session, artifact_id, ArtifactState.PENDING)
        size = self._part_size(artifact)
        if size is None:
            raise ArtifactStateError(state="a single upload", expected="a multipart upload")
        return artifact, size

    def _part_size(self, artifact: Artifact) -> int | None:
        """The size of the parts as the upload was announced; None for a single request."""
        if artifact.part_size_bytes is None and artifact.upload_id:
            # Begun during a rollout, by code that does not know the column.
            return self._settings.part_size_bytes
        return artifact.part_size_bytes

    def _begin_multipart(self, session: Session, artifact: Artifact) -> str:
        upload_id = self._storage.create_multipart(artifact.storage_key, media_type=artifact.media_type)
        kept = None
        try:
            with session.begin():
                row: Artifact = lock(session, ARTIFACT, artifact.id)
                self._require(row, ArtifactState.PENDING)
                winner = row.upload_id = row.upload_id or upload_id
            kept = winner
        finally:
            # Another call was first, or the artifact has gone: no row would lead to these parts.
            if kept != upload_id:
                self._storage.abort_multipart(artifact.storage_key, upload_id)
        return kept

    def _take_over(self, artifact: Artifact) -> bool:
        """Whether the store has checked the SHA-256 of the whole object."""
        if artifact.upload_id:
            self._join(artifact, artifact.upload_id)
        stored = self._storage.stat(artifact.storage_key)
        if stored is None:
            raise UploadMissingError(reason="the artifact store has no object for it")
        if stored.size_bytes != artifact.size_bytes:
            raise UploadMismatchError(what="size", actual=stored.size_bytes, expected=artifact.size_bytes)
        if stored.sha256 is not None and stored.sha256 != artifact.sha256:
            raise UploadMismatchError(what="SHA-256", actual=stored.sha256, expected=artifact.sha256)
        return stored.sha256 is not None

    def _join(self, artifact: Artifact, upload_id: str) -> None:
        try:
            parts = self._uploaded_parts(artifact, upload_id)
            self._storage.complete_multipart(artifact.storage_key, upload_id, parts=parts)
        except UploadMissingError:
            # Joined by another call, or by one whose answer was lost: the object then is there.
            if self._storage.stat(artifact.storage_key) is None:
                raise

    def _uploaded_parts(self, artifact: Artifact, upload_id: str) -> Sequence[StoredPart]:
        parts = self._storage.list_parts(artifact.storage_key, upload_id)
        count = _part_count(artifact, self._part_size(artifact) or artifact.size_bytes)
        missing = sorted(set(range(1, count + 1)) - {part.number for part in parts})
        if missing:
            raise UploadMissingError(reason=f"part {missing[0]} of {count} is missing")
        size = sum(part.size_bytes for part in parts)
        if size != artifact.size_bytes:
            raise UploadMismatchError(what="size", actual=size, expected=artifact.size_bytes)
        return parts

    def _move(
        self,
        session: Session,
        artifact_id: uuid.UUID,
        before: ArtifactState,
        after: ArtifactState,
        *,
        passed: frozenset[ArtifactState],
        actor: Actor,
        action: str,
        failure: str | None = None,
    ) -> Moved:
        """Change the state under the row's lock; one that is in `passed` already stays as it is."""
        with session.begin():
            artifact = lock(session, ARTIFACT, artifact_id)
            changed = artifact.state not in passed
            if changed:
                self._require(artifact, before)
                artifact.state, artifact.failure = after, failure
                session.flush()
                audit(session, actor, f"artifact.{action}", artifact_id, state=after)
            return Moved(
                answer=answer(session, ARTIFACT, artifact_id), state=ArtifactState(artifact.state), changed=changed
            )


def _part_count(artifact: Artifact, part_size_bytes: int) -> int:
    return math.ceil(artifact.size_bytes / part_size_bytes)
