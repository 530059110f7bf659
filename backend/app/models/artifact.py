from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin, TimestampMixin, VersionMixin, one_of
from app.db.types import Guid, Json


class ArtifactState(StrEnum):
    """`pending` until the client says that its bytes are there, `verifying` until they are known to be right."""

    PENDING = "pending"
    VERIFYING = "verifying"
    AVAILABLE = "available"
    FAILED = "failed"


class Artifact(IdMixin, TimestampMixin, VersionMixin, Base):
    """A file in the artifact store; this row owns its state, the store its bytes."""

    __tablename__ = "artifacts"
    __table_args__ = (
        CheckConstraint(one_of("state", ArtifactState), name="state"),
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        CheckConstraint("length(sha256) = 64", name="sha256"),
        Index("ix_artifacts_created_at_id", "created_at", "id"),
        Index("ix_artifacts_owner_id", "owner_id"),
        Index("ix_artifacts_site_id", "site_id"),
        Index("ix_artifacts_task_id", "task_id"),
        Index("ix_artifacts_state_updated_at", "state", "updated_at"),
    )

    owner_id: Mapped[uuid.UUID] = mapped_column(Guid, ForeignKey("users.id", ondelete="RESTRICT"))
    site_id: Mapped[uuid.UUID | None] = mapped_column(Guid, ForeignKey("sites.id", ondelete="SET NULL"))
    task_id: Mapped[uuid.UUID | None] = mapped_column(Guid, ForeignKey("tasks.id", ondelete="SET NULL"))
    file_name: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Text)
    storage_key: Mapped[str] = mapped_column(Text, unique=True)
    upload_id: Mapped[str | None] = mapped_column(Text)
    # As the upload was announced, whatever the settings are later; NULL: in a single request.
    part_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)
    # `metadata` is taken on a declarative class.
    details: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
