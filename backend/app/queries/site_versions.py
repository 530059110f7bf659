from __future__ import annotations

from sqlalchemy import ColumnElement, Text, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.models import SiteVersion

# What changes with each commit that writes to the sites, on PostgreSQL alone; null before the first one.
VERSION: ColumnElement[str | None] = select(
    func.string_agg(SiteVersion.stamp.cast(Text), aggregate_order_by(literal_column("''"), SiteVersion.slot))
).scalar_subquery()
