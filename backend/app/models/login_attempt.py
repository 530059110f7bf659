from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin
from app.db.types import Inet, UtcDateTime, utc_now


class LoginAttempt(IdMixin, Base):
    """A wrong password, kept once it has been found wrong; a login that succeeds removes those of its account."""

    __tablename__ = "login_attempts"
    __table_args__ = (
        Index("ix_login_attempts_email_occurred_at", "email", "occurred_at"),
        Index("ix_login_attempts_client_occurred_at", "client", "occurred_at"),
        Index("ix_login_attempts_occurred_at", "occurred_at"),
    )

    email: Mapped[str] = mapped_column(Text)
    client: Mapped[str | None] = mapped_column(Inet)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now())
