from __future__ import annotations

from sqlalchemy import ColumnElement

from app.db.types import Database
from app.models import AuditEvent
from app.queries.json_rows import json_object, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.audit_event import AuditEventListQuery

ROW = json_object(
    json_values(
        AuditEvent.id,
        AuditEvent.occurred_at,
        AuditEvent.actor_id,
        AuditEvent.action,
        AuditEvent.subject_id,
        AuditEvent.client,
        AuditEvent.request_id,
        AuditEvent.detail,
    )
)
KEYS: SortKeys = {"occurred_at": AuditEvent.occurred_at}


def fetch_audit_events(database: Database, query: AuditEventListQuery) -> Rows:
    where: list[ColumnElement[bool]] = []
    if query.actor_id:
        where.append(AuditEvent.actor_id == query.actor_id)
    if query.subject_id:
        where.append(AuditEvent.subject_id == query.subject_id)
    if query.action:
        where.append(AuditEvent.action == query.action)
    if query.occurred_from:
        where.append(AuditEvent.occurred_at >= query.occurred_from)
    if query.occurred_before:
        where.append(AuditEvent.occurred_at < query.occurred_before)
    return fetch_rows(database, row=ROW, where=where, id_column=AuditEvent.id, keys=KEYS, sort=query.sort, query=query)
