from __future__ import annotations

from app.db.types import Database
from app.queries.audit_events import fetch_audit_events
from app.queries.paging import Rows
from app.schemas.audit_event import AuditEventListQuery


def list_audit_events(database: Database, query: AuditEventListQuery) -> Rows:
    return fetch_audit_events(database, query)
