from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.db.types import Database
from app.models import ExportState, SiteExport
from app.queries.json_rows import Noun, json_object, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.site_export import SiteExportListQuery

EXPORT = Noun(
    name="export",
    model=SiteExport,
    row=json_object(
        json_values(
            SiteExport.id,
            SiteExport.owner_id,
            SiteExport.format,
            SiteExport.filters,
            SiteExport.state,
            SiteExport.attempts,
            SiteExport.sites,
            SiteExport.size_bytes,
            SiteExport.failure,
            SiteExport.created_at,
            SiteExport.finished_at,
            SiteExport.expires_at,
        )
    ),
)
KEYS: SortKeys = {"created_at": SiteExport.created_at}
UNFINISHED = SiteExport.state.in_([ExportState.PENDING, ExportState.RUNNING])


def fetch_exports(database: Database, query: SiteExportListQuery, *, owner_id: uuid.UUID | None) -> Rows:
    """Those of one user, or of all."""
    where: list[ColumnElement[bool]] = [SiteExport.owner_id == owner_id] if owner_id else []
    return fetch_rows(
        database, row=EXPORT.row, where=where, id_column=SiteExport.id, keys=KEYS, sort=query.sort, query=query
    )


def has_due_export(database: Database, *, now: datetime, others: Collection[str]) -> bool:
    return database.execute(select(SiteExport.id).where(*_due(now, others)).limit(1)).first() is not None


def lock_due_export(session: Session, *, now: datetime, others: Collection[str]) -> SiteExport | None:
    """One that may be taken and that no other process is taking, in none of the formats that are left to others."""
    due = select(SiteExport).where(*_due(now, others)).order_by(SiteExport.due_at)
    return session.scalars(due.limit(1).with_for_update(skip_locked=True)).one_or_none()


def _due(now: datetime, others: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return UNFINISHED, SiteExport.due_at <= now, SiteExport.format.not_in(others)


def lock_untaken_exports(session: Session, *, before: datetime) -> Sequence[SiteExport]:
    """Those that have waited since then, and that no process ever took."""
    untaken = (SiteExport.state == ExportState.PENDING) & (SiteExport.attempts == 0) & (SiteExport.created_at < before)
    return session.scalars(select(SiteExport).where(untaken).with_for_update(skip_locked=True)).all()


def find_expired_exports(session: Session, *, now: datetime) -> Sequence[uuid.UUID]:
    return session.scalars(select(SiteExport.id).where(SiteExport.expires_at <= now)).all()
