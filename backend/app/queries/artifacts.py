from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from app.db.types import Database
from app.models import Artifact, ArtifactState, DeletedObject, SiteExport
from app.queries.json_rows import Noun, json_object, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.artifact import ArtifactListQuery

ARTIFACT = Noun(
    name="artifact",
    model=Artifact,
    row=json_object(
        json_values(
            Artifact.id,
            Artifact.owner_id,
            Artifact.site_id,
            Artifact.task_id,
            Artifact.file_name,
            Artifact.media_type,
            Artifact.size_bytes,
            Artifact.sha256,
            Artifact.state,
            Artifact.failure,
            Artifact.details,
            Artifact.version,
            Artifact.created_at,
            Artifact.updated_at,
        )
    ),
)
KEYS: SortKeys = {
    "created_at": Artifact.created_at,
    "file_name": Artifact.file_name,
    "size_bytes": Artifact.size_bytes,
}


def fetch_artifacts(database: Database, query: ArtifactListQuery) -> Rows:
    where: list[ColumnElement[bool]] = []
    if query.state:
        where.append(Artifact.state.in_(query.state))
    if query.owner_id:
        where.append(Artifact.owner_id == query.owner_id)
    if query.site_id:
        where.append(Artifact.site_id == query.site_id)
    if query.task_id:
        where.append(Artifact.task_id == query.task_id)
    return fetch_rows(
        database, row=ARTIFACT.row, where=where, id_column=Artifact.id, keys=KEYS, sort=query.sort, query=query
    )


def find_abandoned(session: Session, *, pending_before: datetime, verifying_before: datetime) -> Sequence[uuid.UUID]:
    """Uploads that were never completed or have failed, and verifications that nobody finished."""
    stale = and_(
        Artifact.state.in_([ArtifactState.PENDING, ArtifactState.FAILED]), Artifact.updated_at < pending_before
    )
    stuck = and_(Artifact.state == ArtifactState.VERIFYING, Artifact.updated_at < verifying_before)
    return session.scalars(select(Artifact.id).where(or_(stale, stuck)).order_by(Artifact.updated_at)).all()


def find_verifying(session: Session, *, since: datetime | None, before: datetime) -> Sequence[uuid.UUID]:
    """Verifications that began in that time and have not ended."""
    where = [Artifact.state == ArtifactState.VERIFYING, Artifact.updated_at < before]
    if since is not None:
        where.append(Artifact.updated_at >= since)
    return session.scalars(select(Artifact.id).where(*where).order_by(Artifact.updated_at)).all()


def find_deleted(session: Session, *, before: datetime) -> Sequence[str]:
    """The keys of objects that were deleted before then, and are no artifact's again, and no export's yet."""
    taken = or_(
        exists().where(Artifact.storage_key == DeletedObject.storage_key),
        exists().where(SiteExport.storage_key == DeletedObject.storage_key),
    )
    return session.scalars(
        select(DeletedObject.storage_key)
        .where(DeletedObject.deleted_at < before, ~taken)
        .order_by(DeletedObject.deleted_at)
    ).all()
