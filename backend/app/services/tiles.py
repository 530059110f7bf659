"""Vector tiles, each with a strong tag, and those made of late."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from cachetools import LRUCache

from app.db.types import Database
from app.errors import NotFoundError, NotOnSqliteError
from app.queries.callers import Caller
from app.queries.tiles import Place, fetch_tile
from app.schemas.tile import TileQuery
from app.settings import TilesSettings

FORMAT = 2  # raised when the same sites make other tiles, so that no client keeps the old ones
MIN_COMPRESSED_BYTES = 1024  # smaller ones go out in one packet anyway
# Of a tile of 40 kB, level 1 leaves 42 % in 0.12 ms, level 5 38 % in 0.5 ms.
COMPRESSION_LEVEL = 1
LONG_BYTES = 256 * 1024  # from here on, compression takes a thread: a millisecond, in which nobody else is served
ENTRY_BYTES = 500  # what keeping a tile takes beside its content
ZIPPED = "-gzip"  # the end of a tag: a strong one is of one encoding


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Made of a version of the sites; `content` is empty where it has none of them.

    `tag` is of this tile and of no other, compressed or not.
    """

    version: str | None
    tag: str
    content: bytes
    is_zipped: bool

    @property
    def etag(self) -> str:
        return self.tag + ZIPPED if self.is_zipped else self.tag


class Tiles:
    """Keeps the tiles used last: their tags say whether they are still what there is.

    A map that many look at asks for the same few hundred, and PostGIS needs milliseconds of a processor for each.
    """

    def __init__(self, settings: TilesSettings) -> None:
        self._kept: LRUCache[tuple[str, bool], Tile] = LRUCache(
            settings.cache_bytes, getsizeof=lambda tile: len(tile.content) + ENTRY_BYTES
        )
        self._version: str | None = None  # of the tile that was made last

    def may_have(self, place: Place, query: TileQuery, *, zipped: bool) -> bool:
        """Whether a look at the sites' version is worth it; called by one thread alone, as the others are."""
        return bool(self._kept) and (tag_of(self._version, place, query), zipped) in self._kept

    def find(self, tag: str, *, zipped: bool) -> Tile | None:
        """A tile that was made before."""
        return self._kept.get((tag, zipped))

    def keep(self, tile: Tile, *, zipped: bool) -> None:
        self._version = tile.version
        try:
            self._kept[tile.tag, zipped] = tile
        except ValueError:  # larger than all that may be kept
            return


def make_tile(
    database: Database,
    place: Place,
    query: TileQuery,
    *,
    caller_id: uuid.UUID,
    admit: Callable[[Caller | None], object],
) -> Tile:
    """The tile as it is now; `admit` is given who asks, as known at the same moment, and raises where they may not."""
    caller, content = fetch_tile(
        database, place, caller_id=caller_id, properties=query.names, kinds=query.kind, owner_id=query.owner_id
    )
    admit(caller)
    version = caller and caller.sites_version
    return Tile(version=version, tag=tag_of(version, place, query), content=content, is_zipped=False)


async def zipped(tile: Tile) -> Tile:
    """The same, compressed where that saves something."""
    if len(tile.content) < MIN_COMPRESSED_BYTES:
        return tile
    zipping = partial(gzip.compress, tile.content, COMPRESSION_LEVEL, mtime=0)
    content = zipping() if len(tile.content) < LONG_BYTES else await asyncio.to_thread(zipping)
    return replace(tile, content=content, is_zipped=True)


def check(place: Place, *, is_postgresql: bool) -> None:
    """Raises `NotOnSqliteError`, and `NotFoundError` for a place that the zoom has not."""
    demand_tiles(is_postgresql=is_postgresql)
    if max(place.x, place.y) >= 2**place.zoom:
        raise NotFoundError(noun="tile", id=f"{place.zoom}/{place.x}/{place.y}")


def demand_tiles(*, is_postgresql: bool) -> None:
    """Raises `NotOnSqliteError`."""
    if not is_postgresql:
        raise NotOnSqliteError(what="vector tiles")


def tag_of(version: str | None, place: Place, query: TileQuery) -> str:
    """The tag of the tile that this version of the sites makes."""
    parts = (FORMAT, version, place, query.names, sorted(query.kind), query.owner_id)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
