from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import LISTING, documented, page
from app.deps import AdminReads
from app.schemas.audit_event import AuditEventListQuery, AuditEventPage
from app.services import audit_events as service

router = APIRouter(prefix="/audit-events", tags=["audit events"])


@router.get("", response_model=AuditEventPage, responses=documented(*LISTING), summary="List audit events")
async def list_audit_events(
    request: Request, query: Annotated[AuditEventListQuery, Query()], reads: AdminReads
) -> Response:
    return await reads(lambda database, _: page(service.list_audit_events(database, query), request))
