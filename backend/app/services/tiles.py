from __future__ import annotations

import hashlib
from dataclasses import dataclass

from app.db.types import Database, demand_postgis
from app.errors import NotFoundError
from app.queries.tiles import Place, fetch_tile, fetch_version
from app.schemas.tile import TileQuery

FORMAT = 1  # raised when the same sites make other tiles, so that no client keeps the old ones


@dataclass(frozen=True, kw_only=True)
class Tile:
    """`content` is empty where the tile has no sites; `tag` is of it and of no other content."""

    tag: str
    content: bytes


def find_tag(database: Database, place: Place, query: TileQuery) -> str:
    """The tag that the tile has now, for next to no work; raises what `read_tile` does."""
    _check(database, place)
    return _tag(fetch_version(database), place, query)


def read_tile(database: Database, place: Place, query: TileQuery) -> Tile:
    """Raises `NotFoundError` for a place that the zoom has not, and `NotOnSqliteError`."""
    _check(database, place)
    version, content = fetch_tile(database, place, properties=query.names, kinds=query.kind, owner_id=query.owner_id)
    return Tile(tag=_tag(version, place, query), content=content)


def _check(database: Database, place: Place) -> None:
    demand_tiles(database)
    if max(place.x, place.y) >= 2**place.zoom:
        raise NotFoundError(noun="tile", id=f"{place.zoom}/{place.x}/{place.y}")


def demand_tiles(database: Database) -> None:
    """Raises `NotOnSqliteError`."""
    demand_postgis(database, what="vector tiles")


def _tag(version: str | None, place: Place, query: TileQuery) -> str:
    parts = (FORMAT, version, place, query.names, sorted(query.kind), query.owner_id)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
