"""Geometries as they come in: GeoJSON and query parameters, checked with a reason and a place for every fault."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from app.errors import FieldProblem, GeometryInvalidError, RequestInvalidError
from app.services.geometry_faults import GEOS_FAULTS, Fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_POSITIONS = 100_000  # positions in one geometry: checked in 0.04 s as one ring, in 1.5 s as 25 000 broken ones
MAX_DEPTH = 4  # GeometryCollections within each other: RFC 7946 advises against any
MAX_PROBLEMS = 20  # faults in one answer, so that it stays readable
MAX_LON, MAX_LAT = 180.0, 90.0  # degrees
MAX_DISTANCE_METRES = 20_037_508.0  # half the equator: nothing on Earth is farther apart
MIN_RING_POSITIONS = 4  # RFC 7946, section 3.1.6: a triangle and its first position again
MIN_LINE_POSITIONS = 2
SHOWN_CHARACTERS = 40  # of a name that the client made up

SAME_PLACE = 1e-9  # degrees, 0.1 mm: GEOS tells places with 15 digits
LARGEST = sys.float_info.max

Loc = tuple[str | int, ...]
T = TypeVar("T")

GEOS_REASON = re.compile(r"(.+)\[(\S+) (\S+)\]")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
JSON_NAMES = {str: "string", bool: "boolean", type(None): "null", dict: "object", list: "array", tuple: "array"}


class Near(NamedTuple):
    """A circle: its centre in degrees and its radius in metres."""

    lon: float
    lat: float
    metres: float


class Box(NamedTuple):
    """A box in degrees that does not cross the antimeridian."""

    west: float
    south: float
    east: float
    north: float


class _Ring(NamedTuple):
    loc: Loc
    positions: NDArray[np.float64]


def parse_geometry(geojson: Mapping[str, Any], *, loc: Sequence[str | int], is_stored: bool = True) -> bytes:
    """Check a GeoJSON geometry and give it as ISO WKB: 2D, little-endian, no SRID, coordinates as they came.

    What is to be stored has no edge from a place to the opposite one, which PostGIS' geography does not know.

    Rings may turn either way and are stored by the right-hand rule (RFC 7946, section 3.1.6). Raises
    `GeometryInvalidError` with up to 20 problems, one a part at most; each one's `loc` begins with `loc` and leads to
    the position at fault, for instance `("body", "geometry", "coordinates", 0, 3)`.
    """
    geometry = shapely.orient_polygons(_Reader(tuple(loc), is_stored=is_stored).read(geojson, tuple(loc)))
    return shapely.to_wkb(geometry, output_dimension=2, byte_order=1, include_srid=False, flavor="iso")


def parse_bbox(text: str) -> list[Box]:
    """Read `west,south,east,north` in degrees; west > east crosses the antimeridian and gives two boxes.

    Raises `RequestInvalidError`.
    """
    numbers = _numbers(text, 4)
    if numbers is None:
        raise _refused("bbox", Fault.BBOX_FORM)
    west, south, east, north = numbers
    if max(abs(west), abs(east)) > MAX_LON or max(abs(south), abs(north)) > MAX_LAT:
        raise _refused("bbox", Fault.BBOX_RANGE)
    if south > north:
        raise _refused("bbox", Fault.BBOX_UPSIDE_DOWN, south=south, north=north)
    halves = [(west, MAX_LON), (-MAX_LON, east)] if west > east else [(west, east)]
    # PostGIS' answers for a box without area depend on its GEOS, and some are errors.
    boxes = [Box(start, south, end, north) for start, end in halves if start < end and south < north]
    if not boxes:
        raise _refused("bbox", Fault.BBOX_WITHOUT_AREA)
    return boxes


def parse_near(text: str) -> Near:
    """Read `lon,lat,metres`; raises `RequestInvalidError`."""
    numbers = _numbers(text, 3)
    if numbers is None:
        raise _refused("near", Fault.NEAR_FORM)
    near = Near(*numbers)
    if abs(near.lon) > MAX_LON or abs(near.lat) > MAX_LAT:
        raise _refused("near", Fault.NEAR_RANGE)
    if not 0 < near.metres <= MAX_DISTANCE_METRES:
        raise _refused("near", Fault.NEAR_DISTANCE, metres=near.metres, limit=MAX_DISTANCE_METRES)
    return near


class _Reader:
    """Builds one geometry; each method raises `GeometryInvalidError` with what is wrong in its part."""

    def __init__(self, loc: Loc, *, is_stored: bool) -> None:
        self._loc = loc
        self._is_stored = is_stored
        self._positions = 0
        self._shapes: dict[str, Callable[[Any, Loc], BaseGeometry]] = {
            "Point": self._point,
            "MultiPoint": self._multi_point,
            "LineString": self._line,
            "MultiLineString": self._multi_line,
            "Polygon": self._polygon,
            "MultiPolygon": self._multi_polygon,
        }

    def read(self, geojson: object, loc: Loc, *, depth: int = 0) -> BaseGeometry:
        if not isinstance(geojson, Mapping):
            raise _invalid(Fault.NOT_AN_OBJECT, loc, got=_json_name(geojson))
        if "crs" in geojson:
            raise _invalid(Fault.CRS_GIVEN, (*loc, "crs"))
        kind = geojson.get("type")
        if kind == "GeometryCollection":
            return self._collection(geojson, loc, depth=depth + 1)
        if not isinstance(kind, str) or kind not in self._shapes:
            got = kind[:SHOWN_CHARACTERS] if isinstance(kind, str) else _json_name(kind)
            allowed = ", ".join([*self._shapes, "GeometryCollection"])
            raise _invalid(Fault.TYPE_UNKNOWN, (*loc, "type"), got=got, allowed=allowed)
        if "coordinates" not in geojson:
            raise _invalid(Fault.MEMBER_MISSING, loc, type=kind, member="coordinates")
        return self._shapes[kind](geojson["coordinates"], (*loc, "coordinates"))

    def _collection(self, geojson: Mapping[str, Any], loc: Loc, *, depth: int) -> BaseGeometry:
        if depth > MAX_DEPTH:
            raise _invalid(Fault.TOO_DEEP, loc, limit=MAX_DEPTH)
        if "geometries" not in geojson:
            raise _invalid(Fault.MEMBER_MISSING, loc, type="GeometryCollection", member="geometries")
        members = self._each(
            geojson["geometries"], (*loc, "geometries"), lambda value, at: self.read(value, at, depth=depth)
        )
        return shapely.GeometryCollection(members)

    def _point(self, value: object, loc: Loc) -> BaseGeometry:
        self._count(1)
        position = _array(value, loc)
        if fault := _position_fault(position):
            raise _invalid(fault[0], loc, **fault[1])
        return shapely.Point(position)

    def _multi_point(self, value: object, loc: Loc) -> BaseGeometry:
        return shapely.MultiPoint(self._line_up(value, loc))

    def _line(self, value: object, loc: Loc) -> shapely.LineString:
        positions = self._line_up(value, loc)
        if len(positions) < MIN_LINE_POSITIONS:
            raise _invalid(Fault.LINE_SHORT, loc, count=len(positions))
        if (positions == positions[0]).all():
            raise _invalid(Fault.LINE_WITHOUT_LENGTH, (*loc, 1), **_lon_lat(positions[0]))
        if self._is_stored:
            _refuse_antipodal(positions, loc)
        return shapely.LineString(positions)

    def _multi_line(self, value: object, loc: Loc) -> BaseGeometry:
        return shapely.MultiLineString(self._each(value, loc, self._line))

    def _polygon(self, value: object, loc: Loc) -> BaseGeometry:
        rings = self._each(value, loc, self._ring)
        return _checked(_to_polygon(rings), rings)

    def _multi_polygon(self, value: object, loc: Loc) -> BaseGeometry:
        polygons = self._each(value, loc, lambda part, at: self._each(part, at, self._ring))
        rings = list(chain.from_iterable(polygons))
        return _checked(shapely.MultiPolygon([_to_polygon(part) for part in polygons]), rings)

    def _ring(self, value: object, loc: Loc) -> _Ring:
        positions = self._line_up(value, loc)
        if len(positions) < MIN_RING_POSITIONS:
            raise _invalid(Fault.RING_SHORT, loc, count=len(positions))
        if (positions[0] != positions[-1]).any():
            lon, lat = positions[0].tolist()
            last = (*loc, len(positions) - 1)
            raise _invalid(Fault.RING_UNCLOSED, last, first_lon=lon, first_lat=lat, **_lon_lat(positions[-1]))
        if self._is_stored:
            _refuse_antipodal(positions, loc)
        return _Ring(loc, positions)

    def _line_up(self, value: object, loc: Loc) -> NDArray[np.float64]:
        """The positions as an array of shape (n, 2), n > 0; the pass over the whole array is what makes it fast."""
        items = _array(value, loc)
        self._count(len(items))
        if look_like_positions(items):
            try:
                positions = np.array(items, dtype=np.float64)
            except OverflowError:  # an integer beyond any double, which the search below finds
                pass
            else:
                if (np.abs(positions) <= (MAX_LON, MAX_LAT)).all():
                    return positions
        for index, item in enumerate(items):
            if fault := _position_fault(_array(item, (*loc, index))):
                raise _invalid(fault[0], (*loc, index), **fault[1])
        raise AssertionError("the array and its positions disagree")

    def _count(self, positions: int) -> None:
        self._positions += positions
        if self._positions > MAX_POSITIONS:
            raise _invalid(Fault.TOO_MANY_POSITIONS, self._loc, limit=MAX_POSITIONS)

    def _each(self, value: object, loc: Loc, read: Callable[[Any, Loc], T]) -> list[T]:
        parts, problems = [], list[FieldProblem]()
        for index, item in enumerate(_array(value, loc)):
            try:
                parts.append(read(item, (*loc, index)))
            except GeometryInvalidError as error:
                if self._positions > MAX_POSITIONS:
                    raise
                problems += error.errors
                if len(problems) >= MAX_PROBLEMS:
                    break
        if problems:
            raise GeometryInvalidError(errors=problems[:MAX_PROBLEMS])
        return parts


def find_antipodal(positions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which positions, from the second on, are opposite to the one before them."""
    lon, lat = positions[:, 0], positions[:, 1]
    with np.errstate(invalid="ignore"):  # infinities are refused elsewhere
        is_mirrored: NDArray[np.bool_] = np.abs(lat[1:] + lat[:-1]) < SAME_PLACE
        is_half_around = np.abs(np.abs(lon[1:] - lon[:-1]) - MAX_LON) < SAME_PLACE
    return is_mirrored & (is_half_around | (np.abs(lat[1:]) > MAX_LAT - SAME_PLACE))


def _refuse_antipodal(positions: NDArray[np.float64], loc: Loc) -> None:
    if (found := np.flatnonzero(find_antipodal(positions))).size:
        first = int(found[0])
        lon, lat = positions[first].tolist()
        raise _invalid(
            Fault.ANTIPODAL, (*loc, first + 1), first_lon=lon, first_lat=lat, **_lon_lat(positions[first + 1])
        )


def _invalid(fault: Fault, loc: Loc, **params: Any) -> GeometryInvalidError:
    return GeometryInvalidError(errors=[_problem(fault, loc, params)])


def _refused(parameter: str, fault: Fault, **params: Any) -> RequestInvalidError:
    return RequestInvalidError(errors=[_problem(fault, ("query", parameter), params)])


def _problem(fault: Fault, loc: Loc, params: dict[str, Any]) -> FieldProblem:
    return FieldProblem(loc=loc, type=fault.name.lower(), message=fault.value, params=params)


def _array(value: object, loc: Loc) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _invalid(Fault.NOT_AN_ARRAY, loc, got=_json_name(value))
    if not value:
        raise _invalid(Fault.EMPTY, loc)
    return value


def _json_name(value: object) -> str:
    return JSON_NAMES.get(type(value), "number")


def _lon_lat(position: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    return {"lon": float(position[0]), "lat": float(position[1])}


def look_like_positions(items: Sequence[Any]) -> bool:
    return (
        set(map(type, items)) <= {list, tuple}
        and set(map(len, items)) == {2}
        and set(map(type, chain.from_iterable(items))) <= {int, float}
    )


def _position_fault(position: Sequence[Any]) -> tuple[Fault, dict[str, Any]] | None:
    for number in position:
        if isinstance(number, bool) or not isinstance(number, int | float):
            return Fault.NOT_A_NUMBER, {"got": _json_name(number)}
        if not -LARGEST <= number <= LARGEST:
            return Fault.NOT_FINITE, {}
    if len(position) != len(("lon", "lat")):
        fault = Fault.POSITION_SHORT if len(position) == 1 else Fault.POSITION_NOT_2D
        return fault, {"count": len(position)}
    return _range_fault(_lon_lat(position))


def _range_fault(at: dict[str, float]) -> tuple[Fault, dict[str, Any]] | None:
    lon, lat = abs(at["lon"]), abs(at["lat"])
    if lon <= MAX_LON and lat <= MAX_LAT:
        return None
    if lat <= MAX_LAT and lon <= 2 * MAX_LON:
        return Fault.BEYOND_ANTIMERIDIAN, at
    return (Fault.SWAPPED if lon <= MAX_LAT and lat <= MAX_LON else Fault.OUT_OF_RANGE), at


def _to_polygon(rings: list[_Ring]) -> shapely.Polygon:
    return shapely.Polygon(rings[0].positions, [ring.positions for ring in rings[1:]])


def _checked(geometry: BaseGeometry, rings: list[_Ring]) -> BaseGeometry:
    if not shapely.is_valid(geometry):
        raise _why_invalid(geometry, rings)
    return geometry


def _why_invalid(geometry: BaseGeometry, rings: list[_Ring]) -> GeometryInvalidError:
    seen = set[bytes]()
    for ring in rings:
        area = shapely.Polygon(ring.positions)
        if area.convex_hull.area == 0:
            return _invalid(Fault.RING_WITHOUT_AREA, ring.loc)
        shape = shapely.normalize(area).wkb
        if shape in seen:
            return _invalid(Fault.RING_DUPLICATE, ring.loc)
        seen.add(shape)
    reason = GEOS_REASON.fullmatch(shapely.is_valid_reason(geometry))
    if reason is None:
        return _invalid(Fault.INVALID, rings[0].loc, **_lon_lat(rings[0].positions[0]))
    at = np.array([float(reason[2]), float(reason[3])])
    return _invalid(GEOS_FAULTS.get(reason[1], Fault.INVALID), _loc_of(at, rings), **_lon_lat(at))


def _loc_of(place: NDArray[np.float64], rings: list[_Ring]) -> Loc:
    """The path to the position at a place, or to the one that starts the segment through it."""
    nearest: list[tuple[float, Loc]] = []
    for ring in rings:
        hits = np.flatnonzero((np.abs(ring.positions - place) < SAME_PLACE).all(axis=1))
        if hits.size:
            return (*ring.loc, int(hits[0]))
        segments = shapely.linestrings(np.stack([ring.positions[:-1], ring.positions[1:]], axis=1))
        distances = shapely.distance(segments, shapely.Point(place))
        nearest.append((float(distances.min()), (*ring.loc, int(distances.argmin()))))
    return min(nearest)[1]


def _numbers(text: str, count: int) -> list[float] | None:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != count or not all(NUMBER.fullmatch(part) for part in parts):
        return None
    return [float(part) for part in parts]
