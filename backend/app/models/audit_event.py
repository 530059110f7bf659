from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin
from app.db.types import Guid, Inet, Json, UtcDateTime, utc_now


class AuditEvent(IdMixin, Base):
    """Who changed what, written in the transaction of the change; it outlives its actor and its subject."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_occurred_at_id", "occurred_at", "id"),
        Index("ix_audit_events_subject_id", "subject_id"),
        Index("ix_audit_events_actor_id", "actor_id"),
    )

    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now())
    actor_id: Mapped[uuid.UUID | None] = mapped_column(Guid)
    action: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[uuid.UUID] = mapped_column(Guid)
    client: Mapped[str | None] = mapped_column(Inet)
    request_id: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
