from __future__ import annotations

from app.db.types import Database, is_postgresql
from app.queries.extent import fetch_extent
from app.schemas.crs import Bounds
from app.schemas.tile import WORLD, TileQuery
from app.services.tiles import demand_tiles


def find_bounds(database: Database, query: TileQuery) -> Bounds:
    """What tiles there are lie within: the world where that is not known; raises `NotOnSqliteError`."""
    demand_tiles(is_postgresql=is_postgresql(database))
    extent = None if query.kind or query.owner_id else fetch_extent(database)
    if extent is None:
        return WORLD
    west, south, east, north = WORLD
    cut = (max(extent[0], west), max(extent[1], south), min(extent[2], east), min(extent[3], north))
    return cut if cut[1] <= cut[3] else WORLD  # all beyond the map's end
