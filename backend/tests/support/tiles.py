"""Vector tiles, read by a decoder that knows nothing of PostGIS, and places on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely
from httpx2 import Response
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from tests.support.api import Api, Caller

TILES = "http://testserver/tiles/sites"
EXTENT = 4096
BERLIN = (10, 550, 335)  # zoom, column, row


def get(
    caller: Caller, place: tuple[int, int, int], *, headers: dict[str, str] | None = None, **params: Any
) -> Response:
    return caller.get(f"{TILES}/{'/'.join(map(str, place))}.mvt", params=params, headers=headers)


def features(api: Api, place: tuple[int, int, int] = BERLIN, **params: Any) -> list[dict[str, Any]]:
    """What the tile has, rows downwards; its one layer is `sites`."""
    answer = get(api.viewer, place, **params)
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
    decoded = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})
    assert list(decoded) == ["sites"]
    layer = decoded["sites"]
    assert (layer["version"], layer["extent"]) == (2, EXTENT)
    found: list[dict[str, Any]] = layer["features"]
    return found


def names(api: Api, place: tuple[int, int, int] = BERLIN, **params: Any) -> set[str]:
    return {feature["properties"]["name"] for feature in features(api, place, **params)}


def to_units(place: tuple[int, int, int], geometry: BaseGeometry) -> BaseGeometry:
    """The geometry in the tile's units."""
    return _moved(geometry, lambda lon, lat: position(place, lon, lat))


def position(place: tuple[int, int, int], lon: float, lat: float) -> tuple[float, float]:
    """Column and row in the tile's units, by the definition of the projection."""
    zoom, x, y = place
    column = (lon + 180) / 360 * 2**zoom
    row = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom
    return (column - x) * EXTENT, (row - y) * EXTENT


def to_degrees(place: tuple[int, int, int], column: float, row: float) -> tuple[float, float]:
    """Longitude and latitude of a place that is given in the tile's units."""
    zoom, x, y = place
    lon = (x + column / EXTENT) / 2**zoom * 360 - 180
    return lon, math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + row / EXTENT) / 2**zoom))))


def circle(place: tuple[int, int, int], column: float, row: float, radius: float) -> dict[str, Any]:
    """A polygon of 25 points around a place that is given in the tile's units."""
    ring = shapely.Point(column, row).buffer(radius, quad_segs=6)
    return dict(mapping(_moved(ring, lambda *each: to_degrees(place, *each))))


def _moved(geometry: BaseGeometry, move: Callable[[float, float], tuple[float, float]]) -> BaseGeometry:
    moved: BaseGeometry = shapely.transform(geometry, lambda points: np.array([move(*each) for each in points]))
    return moved
