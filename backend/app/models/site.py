from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, IdMixin, TimestampMixin, VersionMixin, postgresql_index
from app.db.types import GeometryColumn, Guid, Json


class Site(IdMixin, TimestampMixin, VersionMixin, Base):
    """A place; its geometry is written as WKB by SQL and read as GeoJSON text, never through the ORM."""

    __tablename__ = "sites"

    owner_id: Mapped[uuid.UUID] = mapped_column(Guid, ForeignKey("users.id", ondelete="RESTRICT"))
    external_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    properties: Mapped[dict[str, Any]] = mapped_column(Json)
    geom: Mapped[Any] = mapped_column(GeometryColumn, deferred=True, deferred_raiseload=True)

    __table_args__ = (
        UniqueConstraint("owner_id", "external_id"),
        Index("ix_sites_created_at_id", "created_at", "id"),
        Index("ix_sites_name_id", "name", "id"),
        Index("ix_sites_kind", "kind"),
        postgresql_index("ix_sites_properties", "properties", using="gin"),
        postgresql_index("ix_sites_geom", "geom", using="gist"),
        # Distances in metres are asked of geography; PostGIS needs an index on the very expression.
        postgresql_index("ix_sites_geography", text("geography(geom)"), using="gist"),
    )
