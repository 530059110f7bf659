from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, utc_now


class DeletedObject(Base):
    """The key of a deleted artifact's bytes, which an upload under way or a URL still valid can bring back."""

    __tablename__ = "deleted_objects"

    storage_key: Mapped[str] = mapped_column(Text, primary_key=True)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now(), index=True)
