from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin, one_of
from app.db.types import Guid, Json, UtcDateTime, utc_now


class ExportState(StrEnum):
    """`pending` until a process takes it, `running` while one writes the file."""

    PENDING = "pending"
    RUNNING = "running"
    AVAILABLE = "available"
    FAILED = "failed"


class SiteExport(IdMixin, Base):
    """A file of sites that is asked for, written behind the requests, and kept in the artifact store for a time."""

    __tablename__ = "site_exports"
    __table_args__ = (
        CheckConstraint(one_of("state", ExportState), name="state"),
        Index("ix_site_exports_created_at_id", "created_at", "id"),
        Index("ix_site_exports_owner_id", "owner_id"),
        Index("ix_site_exports_state_due_at", "state", "due_at"),
    )

    owner_id: Mapped[uuid.UUID | None] = mapped_column(Guid, ForeignKey("users.id", ondelete="SET NULL"))
    format: Mapped[str] = mapped_column(Text)
    filters: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Text)
    # Who has it: a new one each time that it is taken, so that a process that lost it changes nothing.
    claim: Mapped[uuid.UUID | None] = mapped_column(Guid)
    # From when on it may be taken: at once, after a pause, or when the lease of who has it is over.
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    sites: Mapped[int | None] = mapped_column(BigInteger)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # Of the attempt that wrote the file; unset while there is none, and where an older version wrote it.
    storage_key: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
