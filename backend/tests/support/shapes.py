"""Sites of every type of geometry, the same ones each time."""

from __future__ import annotations

from typing import Any

from shapely.geometry import (
    GeometryCollection,
    LineString,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Point,
    Polygon,
    box,
    mapping,
)
from shapely.geometry.base import BaseGeometry

from tests.support.api import site

Feature = dict[str, Any]

EACH = 50
WEST, SOUTH = 13.0, 52.0
STEP = 0.01  # in degrees, from one site to the next of its type
KINDS = ("pump", "well", "Zähler")


ABROAD = ((-0.1, 51.5), (-78.5, -0.2), (178.5, 67.0), (0.0, -87.0), (0.0, 87.0))


def sites() -> list[Feature]:
    """`EACH` of each simple type, in a row for each, from the south-west corner on."""
    return [
        _site(geometry, number)
        for number in range(EACH)
        for geometry in _shapes(WEST + number * STEP, SOUTH)
        if geometry.geom_type != "GeometryCollection"
    ]


def unusual_sites() -> list[Feature]:
    """Geometries in one another, and places that few systems reach."""
    collections = [_shapes(WEST + number * STEP, SOUTH)[-1] for number in range(EACH)]
    return [_site(geometry, number) for number, geometry in enumerate([*collections, *map(Point, ABROAD)], EACH)]


def _site(geometry: BaseGeometry, number: int) -> Feature:
    return site(
        mapping(geometry),
        name=f"{geometry.geom_type} {number}",
        kind=KINDS[number % len(KINDS)],
        external_id=None if number % 5 == 0 else f"{geometry.geom_type}/{number}",
        properties={"depth_m": number / 4, "note": None if number % 2 else "Straße “7”, 水道\n\\ 🚰"},
    )


def _shapes(x: float, south: float) -> list[BaseGeometry]:
    """One of each type, less than a step wide and high, two steps from one to the next."""
    return [_shape(row, x, south + row * 2 * STEP) for row in range(7)]


def _shape(row: int, x: float, y: float) -> BaseGeometry:
    point = Point(x, y)
    line = LineString([(x, y), (x + STEP / 3, y + STEP / 7)])
    square = box(x, y, x + STEP / 2, y + STEP / 2)
    hole = box(x + STEP / 8, y + STEP / 8, x + STEP / 4, y + STEP / 4)
    holed = Polygon(square.exterior, [hole.exterior])
    return (
        point,
        line,
        holed,
        MultiPoint(list(line.coords)),
        MultiLineString([line, [(x, y + STEP / 2), (x + STEP / 2, y + STEP / 2)]]),
        MultiPolygon([holed, hole.buffer(-STEP / 64)]),
        GeometryCollection([point, square]),
    )[row]
