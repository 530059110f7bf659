"""Where there are sites at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.sql.functions import Function

from app.db.types import Database
from app.models import Site
from app.schemas.crs import Bounds


def fetch_extent(database: Database) -> Bounds | None:
    """West, south, east and north of all sites in degrees, None where there are none; for next to no work.

    PostGIS reads it from the root of the column's index: nothing lies beyond it, but it shrinks only when the index is
    made anew, and its numbers are those of the next single-precision ones outwards.
    """
    box = select(Function("ST_EstimatedExtent", Site.__tablename__, Site.geom.key).label("box")).subquery()
    sides: list[Any] = [Function(f"ST_{side}", box.c.box) for side in ("XMin", "YMin", "XMax", "YMax")]
    found: Sequence[Any] = database.execute(select(*sides)).one()
    west, south, east, north = found
    return None if west is None else (west, south, east, north)
