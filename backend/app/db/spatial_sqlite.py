"""PostGIS functions for SQLite, by shapely, so that one SQL expression serves both.

Geometries are WKB in BLOBs, in degrees of WGS 84. GeoAlchemy2 drops the `ST_` of some names on SQLite: those have two.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy.engine.interfaces import DBAPIConnection

logger = logging.getLogger(__name__)

CACHED_GEOMETRIES = 8  # a query repeats one or two for each row; the rows' own pass through
SEMI_MAJOR_METRES = 6_378_137.0  # WGS 84
FLATTENING = 1 / 298.257223563  # WGS 84
ANTIPODAL = 1e-4  # cos² of half the angle below which Lambert's formula degenerates: about 1° from the antipode
FIXED_POINT_FROM = 1e-8  # PostGIS writes smaller numbers with an exponent
TINY = 1e-300  # keeps a division at the poles finite
MULTI_TYPE = 4  # GEOS numbers the types: from 4 on they have parts


class _Sphere(NamedTuple):
    """A geometry on the unit sphere: its positions and its great-circle arcs, as vectors in arrays of shape (n, 3).

    A point has an arc, too, which ends where it starts.
    """

    positions: NDArray[np.float64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]


def register(connection: DBAPIConnection) -> None:
    """Give one SQLite connection the functions; NULL in gives NULL out, and what is no WKB fails the statement."""
    spatial = _Spatial()
    functions: dict[str, Callable[..., object]] = {
        "ST_GeomFromWKB": _checked,
        "GeomFromWKB": _checked,
        "ST_AsGeoJSON": _as_geojson,
        "AsGeoJSON": _as_geojson,
        "ST_AsText": _as_text,
        "AsText": _as_text,
        "ST_AsBinary": _checked,
        "AsBinary": _checked,
        "ST_FlipCoordinates": _flipped,
        "ST_MakeEnvelope": _envelope,
        "ST_Intersects": spatial.intersects,
        "ST_DWithin": spatial.within,
        "ST_Distance": spatial.distance,
        "geography": _checked,
        **{f"ST_{side}": partial(_bound, side=index) for index, side in enumerate(("XMin", "YMin", "XMax", "YMax"))},
    }
    for name, function in functions.items():
        connection.create_function(name, -1, _strict(name, function), deterministic=True)


def _strict(name: str, function: Callable[..., object]) -> Callable[..., object]:
    def call(*values: Any) -> object:
        if any(value is None for value in values):
            return None
        try:
            return function(*values)
        except Exception as error:
            # sqlite3 tells its caller only that a function raised.
            logger.warning("The SQL function %s failed: %s", name, error)
            raise

    return call


class _Spatial:
    """The functions of one connection: GEOS' prepared geometries must not be shared between threads.

    The second geometry is the query's: it is the same for each row, so it is kept.
    """

    def __init__(self) -> None:
        self._prepared = lru_cache(CACHED_GEOMETRIES)(_read_prepared)
        self._on_sphere = lru_cache(CACHED_GEOMETRIES)(lambda wkb: _on_sphere(_read(wkb)))

    def intersects(self, row: bytes, query: bytes) -> bool:
        return bool(shapely.intersects(self._prepared(query), _read(row)))

    def within(self, row: bytes, query: bytes, metres: float) -> bool:
        distance = self.distance(row, query)
        return distance is not None and distance <= metres

    def distance(self, row: bytes, query: bytes) -> float | None:
        """Metres on the ellipsoid between the nearest points, found on the sphere, as PostGIS' geography does.

        Whether the two meet at all is asked of the plane: there an edge of 1° runs up to 120 m beside the great circle.
        """
        if self.intersects(row, query):
            return 0.0
        return _metres_between(_on_sphere(_read(row)), self._on_sphere(query))


def _read(wkb: object) -> BaseGeometry:
    if not isinstance(wkb, bytes):
        raise TypeError(f"a geometry is a BLOB of WKB, not {type(wkb).__name__}")
    return shapely.from_wkb(wkb)


def _read_prepared(wkb: object) -> BaseGeometry:
    geometry = _read(wkb)
    shapely.prepare(geometry)
    return geometry


def _checked(wkb: bytes, _srid: int = 4326) -> bytes:
    _read(wkb)
    return wkb


def _envelope(west: float, south: float, east: float, north: float, _srid: int = 4326) -> bytes:
    return shapely.to_wkb(shapely.box(west, south, east, north))


def _flipped(wkb: bytes) -> bytes:
    return shapely.to_wkb(shapely.transform(_read(wkb), lambda positions: positions[:, ::-1]))


def _bound(wkb: bytes, *, side: int) -> float:
    return _read(wkb).bounds[side]


def _as_geojson(wkb: bytes, digits: int = 9) -> str:
    return _geojson(_read(wkb), digits)


def _as_text(wkb: bytes, digits: int = 15) -> str:
    return shapely.to_wkt(_read(wkb), rounding_precision=digits)


def _geojson(geometry: BaseGeometry, digits: int) -> str:
    if isinstance(geometry, shapely.GeometryCollection):
        members = ",".join(_geojson(part, digits) for part in geometry.geoms)
        return f'{{"type":"GeometryCollection","geometries":[{members}]}}'
    coordinates = shapely.geometry.mapping(geometry)["coordinates"]
    return f'{{"type":"{geometry.geom_type}","coordinates":{_array(coordinates, digits)}}}'


def _array(value: Sequence[Any] | float, digits: int) -> str:
    if not isinstance(value, float):
        return "[" + ",".join([_array(item, digits) for item in value]) + "]"
    if 0 < abs(value) <= FIXED_POINT_FROM:
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    # PostGIS rounds the number as people write it, half to even: 0.45 to 0.4, though the float is a little more.
    return _trimmed(f"{Decimal(repr(value)):.{digits}f}")


def _trimmed(number: str) -> str:
    text = number.rstrip("0").rstrip(".") if "." in number else number
    return "0" if text == "-0" else text


def _on_sphere(geometry: BaseGeometry) -> _Sphere:
    if isinstance(geometry, shapely.Point):  # most rows of most tables: five times as fast as the general way
        position = _vectors(shapely.get_coordinates(geometry))
        return _Sphere(position, position, position)
    parts = np.array([geometry], dtype=object)
    while (shapely.get_type_id(parts) >= MULTI_TYPE).any():
        parts = shapely.get_parts(parts)
    areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    lines = np.concatenate([parts[~areas], shapely.get_rings(parts[areas])])
    degrees, line = shapely.get_coordinates(lines, return_index=True)
    vectors = _vectors(degrees)
    joined = line[1:] == line[:-1]
    points = vectors[(shapely.get_type_id(lines) == shapely.GeometryType.POINT)[line]]
    starts = np.concatenate([vectors[:-1][joined], points])
    ends = np.concatenate([vectors[1:][joined], points])
    return _Sphere(vectors, starts, ends)


def _vectors(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    lon, lat = np.radians(degrees).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _metres_between(one: _Sphere, other: _Sphere) -> float | None:
    if not (one.positions.size and other.positions.size):
        return None  # as PostGIS for an empty geometry
    if len(one.positions) == len(other.positions) == 1:
        return _lambert(one.positions[0], other.positions[0])
    # Arcs that do not cross are nearest at an end of one of them; a lone point is such an end.
    pairs = []
    if len(one.positions) == 1 or len(other.positions) > 1:
        pairs += [_nearest(position, other) for position in one.positions]
    if len(one.positions) > 1:
        pairs += [_nearest(position, one) for position in other.positions]
    _, start, end = min(pairs, key=itemgetter(0))
    return _lambert(start, end)


def _nearest(position: NDArray[np.float64], line: _Sphere) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The point of the arcs that is nearest to a position: their distance as a chord, then both."""
    normals = np.cross(line.starts, line.ends)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    feet = position - (normals @ position)[:, None] * normals
    inside = (np.cross(line.starts, feet) * normals).sum(axis=1) > 0
    inside &= (np.cross(feet, line.ends) * normals).sum(axis=1) > 0
    feet = feet[inside] / np.linalg.norm(feet[inside], axis=1, keepdims=True)
    candidates = np.concatenate([feet, line.starts, line.ends])
    chords = np.linalg.norm(candidates - position, axis=1)
    best = int(chords.argmin())
    return float(chords[best]), position, candidates[best]


def _lambert(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Metres on the ellipsoid by Lambert's formula for long lines, which is good to some 10 m in 1 000 km."""
    (lon_1, lat_1), (lon_2, lat_2) = (
        (math.atan2(y, x), math.atan((1 - FLATTENING) * z / max(math.hypot(x, y), TINY)))
        for x, y, z in (start.tolist(), end.tolist())
    )
    mean, half = (lat_1 + lat_2) / 2, (lat_2 - lat_1) / 2
    squared_sine = math.sin(half) ** 2 + math.cos(lat_1) * math.cos(lat_2) * math.sin((lon_2 - lon_1) / 2) ** 2
    if squared_sine == 0:
        return 0.0
    angle = 2 * math.asin(min(1.0, math.sqrt(squared_sine)))
    squared_cosine = max(1 - squared_sine, ANTIPODAL)
    x = (angle - math.sin(angle)) * (math.sin(mean) * math.cos(half)) ** 2 / squared_cosine
    y = (angle + math.sin(angle)) * (math.cos(mean) * math.sin(half)) ** 2 / squared_sine
    return SEMI_MAJOR_METRES * (angle - FLATTENING / 2 * (x + y))
