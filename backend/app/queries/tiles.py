"""Vector tiles in the grid WebMercatorQuad, made by PostGIS."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Select, Text, any_, bindparam, case, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.functions import Function

from app.db.prepared import PREPARED
from app.db.types import Database, Guid
from app.models import Site
from app.queries.callers import VERSIONED_CALLER, Caller
from app.queries.sites import SRID

WEB_MERCATOR = 3857
EXTENT = 4096  # units along a tile's edge
BUFFER = 256  # units beyond it that are drawn too, as tipg has it: lines and symbols at an edge stay whole
PIXELS = 512  # along the edge of a tile on a screen
MAX_FEATURES = 10_000  # about 1 MB: what a browser takes in without a pause, and 0.2 s of a server
# From here on a tile of sites is drawn whole; before it holds what is largest, which costs a tenth more.
SORTED_ZOOMS = range(10)
# Units by which a line may move when points are left out: 3/8 of a pixel, as MapLibre has it for GeoJSON. At zoom 10 a
# quarter of the time and of the bytes of polygons of 25 points, at 2 000 points a tenth of both.
TOLERANCE = 3
# From here on degrees are drawn as they are, without a projection, which takes an eighth of a tile's time: within a
# tile its scale is all but straight. At zoom 10 a point is at most 1.6 units, a fifth of a pixel, from its place, and
# half as far with each further zoom. What is so high that its edges would bend by a unit is projected all the same.
FLAT_ZOOM = 10
FLAT_DEGREES = 1.0  # the most, up to which the bend is about the same everywhere
CHEBYSHEV = math.sqrt(1 / 8)  # of an edge, from its middle: where the straight line nearest to a parabola meets it
METRES_AROUND = 2 * math.pi * 6_378_137  # the projection's equator
POLE = 89.0  # degrees: beyond every tile's buffer; some releases of PROJ refuse to project the pole itself
FLAT = ("flat_west", "flat_south", "flat_east", "flat_north")  # the parameters of a tile in degrees


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tile: column `x` from the west and row `y` from the north of the 2^zoom each that there are."""

    zoom: int
    x: int
    y: int

    def envelope(self) -> tuple[float, float, float, float]:
        """West, south, east and north with the buffer, in degrees, by the projection's own formula.

        PROJ would bring what lies beyond the antimeridian to the other side.
        """
        margin = BUFFER / EXTENT
        south, north = self._latitude(self.y + 1 + margin), self._latitude(self.y - margin)
        return self._longitude(self.x - margin), south, self._longitude(self.x + 1 + margin), north

    def flat_envelope(self) -> tuple[float, float, float, float]:
        """The tile without a buffer, in degrees on the straight scale that is nearest to the projection."""
        near = self._latitude(self.y + 0.5 - CHEBYSHEV)
        far = self._latitude(self.y + 0.5 + CHEBYSHEV)
        middle, half = (near + far) / 2, (near - far) / 2 * 0.5 / CHEBYSHEV
        return self._longitude(self.x), middle - half, self._longitude(self.x + 1), middle + half

    def flat_degrees(self) -> float:
        """The height up to which an edge that is straight in degrees is straight on the map too, but for a unit."""
        _, south, _, north = self.envelope()
        lat = math.radians(min(max(abs(south), abs(north)) + FLAT_DEGREES, POLE))
        bend = math.tan(lat) / math.cos(lat)
        return min(FLAT_DEGREES, math.degrees(math.sqrt(8 * 2 * math.pi / (1 << self.zoom) / EXTENT / bend)))

    def _longitude(self, column: float) -> float:
        return column / (1 << self.zoom) * 360 - 180

    def _latitude(self, row: float) -> float:
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / (1 << self.zoom)))))


def fetch_tile(
    database: Database,
    place: Place,
    *,
    caller_id: uuid.UUID,
    properties: Sequence[str],
    kinds: Sequence[str],
    owner_id: uuid.UUID | None,
) -> tuple[Caller | None, bytes]:
    """Who asks, with the version of the sites, and the tile of the same moment, which is empty where there is nothing.

    Another statement, for who asks, would cost a small tile a fifth more. Where there is no such user, no tile is made.
    """
    is_flat = place.zoom >= FLAT_ZOOM
    statement = _statement(
        tuple(properties),
        by_kind=bool(kinds),
        by_owner=owner_id is not None,
        largest_first=place.zoom in SORTED_ZOOMS,
        is_flat=is_flat,
    )
    # The sites of such a tile, mostly few, are found by their place, wherever it is.
    prepared = is_flat and not kinds and owner_id is None
    west, south, east, north = place.envelope()
    parameters = {
        **dict(zip(FLAT, place.flat_envelope(), strict=True)),
        "zoom": place.zoom,
        "x": place.x,
        "y": place.y,
        "west": west,
        "south": south,
        "east": east,
        "north": north,
        "pixel": 360 / (1 << place.zoom) / PIXELS,
        "degrees": (north - south) / (EXTENT + 2 * BUFFER) * TOLERANCE,
        "metres": METRES_AROUND / (1 << place.zoom) / EXTENT * TOLERANCE,
        "flat_degrees": place.flat_degrees(),
        "kinds": list(kinds),
        "owner_id": owner_id,
        "caller_id": caller_id,
    }
    row = database.execute(statement, parameters, execution_options={PREPARED: prepared}).first()
    return (None, b"") if row is None else (Caller(*row[:-1]), bytes(row[-1]))


@lru_cache(maxsize=256)
def _statement(
    properties: Sequence[str], *, by_kind: bool, by_owner: bool, largest_first: bool, is_flat: bool
) -> Select[Any]:
    bounds: list[ColumnElement[float]] = [bindparam(name) for name in ("west", "south", "east", "north")]
    box: Function[Any] = Function("ST_MakeEnvelope", *bounds, SRID)
    drawn = _flat_or_projected() if is_flat else _projected_or_tiny()
    feature = (
        select(*(_property(name) for name in properties), drawn.label("geom"))
        .where(Site.geom.op("&&", return_type=Boolean())(box))
        .limit(MAX_FEATURES)
    )
    if by_kind:
        feature = feature.where(Site.kind == any_(bindparam("kinds", type_=ARRAY(Text))))
    if by_owner:
        feature = feature.where(Site.owner_id == bindparam("owner_id", type_=Guid))
    # Always the same ones, as the tag says, where there are too many.
    order = [func.greatest(_extent("X"), _extent("Y")).desc()] if largest_first else []
    feature = feature.order_by(*order, Site.id)
    layer: Function[bytes] = Function("ST_AsMVT", literal_column("feature"), "sites", EXTENT, "geom")
    return VERSIONED_CALLER.add_columns(select(layer).select_from(feature.subquery("feature")).scalar_subquery())


def _flat_or_projected() -> ColumnElement[Any]:
    edges: list[ColumnElement[float]] = [bindparam(name) for name in FLAT]
    tile: Function[Any] = Function("ST_MakeEnvelope", *edges, SRID)
    # By a query of its own it is made once, and not for each site.
    flat = _drawn(case((_is_tiny(), _centre()), else_=_thinned(Site.geom, "degrees")), select(tile).scalar_subquery())
    limit: ColumnElement[float] = bindparam("flat_degrees")
    return case((_extent("Y") < limit, flat), else_=_drawn(_projected(), _tile()))


def _projected_or_tiny() -> ColumnElement[Any]:
    point: Function[Any] = Function("ST_Transform", _centre(), WEB_MERCATOR)
    return _drawn(case((_is_tiny(), point), else_=_projected()), _tile())


def _projected() -> ColumnElement[Any]:
    world: Function[Any] = Function("ST_MakeEnvelope", -180.0, -POLE, 180.0, POLE, SRID)
    is_within = Site.geom.op("@", return_type=Boolean())(world)
    whole = case((is_within, Site.geom), else_=Function("ST_ClipByBox2D", Site.geom, world))
    # What lies on a line in degrees lies on none on the map, so it is thinned there.
    return _thinned(Function("ST_Transform", whole, WEB_MERCATOR), "metres")


def _tile() -> ColumnElement[Any]:
    address: list[ColumnElement[int]] = [bindparam(name) for name in ("zoom", "x", "y")]
    return Function("ST_TileEnvelope", *address)


def _drawn(shape: ColumnElement[Any], tile: ColumnElement[Any]) -> ColumnElement[Any]:
    drawn: Function[Any] = Function("ST_AsMVTGeom", shape, tile, EXTENT, BUFFER, literal_column("true"))
    return drawn


def _is_tiny() -> ColumnElement[bool]:
    """What is smaller than a pixel is drawn as a point, since it would vanish between two units."""
    pixel: ColumnElement[float] = bindparam("pixel")
    return (_extent("X") < pixel) & (_extent("Y") < pixel)


def _centre() -> ColumnElement[Any]:
    centre: Function[Any] = Function("ST_Centroid", Function("ST_Envelope", Site.geom))
    return centre


def _thinned(shape: ColumnElement[Any] | InstrumentedAttribute[Any], tolerance: str) -> ColumnElement[Any]:
    thinned: Function[Any] = Function("ST_Simplify", shape, bindparam(tolerance), literal_column("true"))
    return thinned


def _extent(axis: str) -> ColumnElement[float]:
    """Degrees."""
    most: Function[float] = Function(f"ST_{axis}Max", Site.geom)
    least: Function[float] = Function(f"ST_{axis}Min", Site.geom)
    return most - least


def _property(name: str) -> ColumnElement[str]:
    """A column as a tile can hold it: numbers and texts."""
    column: ColumnElement[Any] = getattr(Site, name)
    if name in {"created_at", "updated_at"}:
        form = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
        return func.to_char(func.timezone("UTC", column), form).label(name)
    return (column if name == "version" else column.cast(Text)).label(name)
