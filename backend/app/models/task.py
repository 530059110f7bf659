from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin, TimestampMixin, VersionMixin, one_of, postgresql_index
from app.db.types import Guid, Tags, UtcDateTime


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class TaskPriority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Task(IdMixin, TimestampMixin, VersionMixin, Base):
    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint(one_of("status", TaskStatus), name="status"),
        CheckConstraint(one_of("priority", TaskPriority), name="priority"),
        CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name="completed_at"),
        Index("ix_tasks_created_at_id", "created_at", "id"),
        Index("ix_tasks_owner_id", "owner_id"),
        Index("ix_tasks_site_id", "site_id"),
        Index("ix_tasks_status", "status"),
        Index("ix_tasks_priority", "priority"),
        Index("ix_tasks_due_at", "due_at"),
        postgresql_index("ix_tasks_tags", "tags", using="gin"),
    )

    owner_id: Mapped[uuid.UUID] = mapped_column(Guid, ForeignKey("users.id", ondelete="CASCADE"))
    site_id: Mapped[uuid.UUID | None] = mapped_column(Guid, ForeignKey("sites.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(Tags)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
