from __future__ import annotations

from sqlalchemy.orm import Session

from app.queries.audit_events import fetch_audit_events
from app.queries.paging import Rows
from app.schemas.audit_event import AuditEventListQuery


def list_audit_events(session: Session, query: AuditEventListQuery) -> Rows:
    with session.begin():
        return fetch_audit_events(session, query)
