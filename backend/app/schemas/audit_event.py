"""Audit events as administrators read them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.schemas.common import ListQuery, Moment, Output, Page, ShortText


class AuditEventOut(Output):
    id: uuid.UUID
    occurred_at: datetime
    actor_id: uuid.UUID | None = Field(description="Who; null for the command line.")
    action: str = Field(examples=["site.update"])
    subject_id: uuid.UUID
    client: str | None = Field(description="The client's address.")
    request_id: str | None
    detail: dict[str, Any]


class AuditEventPage(Page):
    items: list[AuditEventOut]


class AuditEventListQuery(ListQuery):
    actor_id: uuid.UUID | None = None
    subject_id: uuid.UUID | None = None
    action: ShortText | None = None
    occurred_from: Moment | None = None
    occurred_before: Moment | None = None
    sort: Literal["occurred_at", "-occurred_at"] = Field(
        "-occurred_at", description="Order; a leading minus reverses it."
    )
