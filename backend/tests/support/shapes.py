"""Sites of every type of geometry, the same ones each time."""

from __future__ import annotations

from functools import cache
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

EACH = 50
WEST, SOUTH = 13.0, 52.0
STEP = 0.01  # in degrees, from one site to the next of its type
KINDS = ("pump", "well", "Zähler")


@cache
def sites() -> list[dict[str, Any]]:
    """`EACH` of each type, in a row for each, from the south-west corner on."""
    return [
        site(
            mapping(geometry),
            name=f"{geometry.geom_type} {number}",
            kind=KINDS[number % len(KINDS)],
            external_id=None if number % 5 == 0 else f"{geometry.geom_type}/{number}",
            properties={"depth_m": number / 4, "note": None if number % 2 else "Straße “7”, 水道\n\\ 🚰"},
        )
        for number in range(EACH)
        for row in range(7)
        for geometry in [_shape(row, WEST + number * STEP, SOUTH + row * 2 * STEP)]
    ]


def _shape(row: int, x: float, y: float) -> BaseGeometry:
    """A geometry of the row's type, less than a step wide and high."""
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
