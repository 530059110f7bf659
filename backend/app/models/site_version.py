from __future__ import annotations

import uuid

from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import Guid


class SiteVersion(Base):
    """A part of the version of all sites together: a trigger of PostgreSQL stamps one anew with each commit."""

    __tablename__ = "site_versions"

    slot: Mapped[uuid.UUID] = mapped_column(Guid, primary_key=True)
    stamp: Mapped[uuid.UUID] = mapped_column(Guid)
