"""The counties of the United States, a data set that was not made for these tests: 3 231 of them, a few invalid."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data" / "counties-10m.json.gz"
COUNTY_COUNT = 3_231

Position = list[float]


@dataclass(frozen=True, kw_only=True)
class County:
    """One county; `fips` is its five-digit key, `geometry` a GeoJSON Polygon or MultiPolygon in degrees."""

    fips: str
    name: str
    geometry: dict[str, Any]


def counties() -> Iterator[County]:
    """Decode the TopoJSON file: arcs are shared between neighbours, quantised and written as differences."""
    topology = json.loads(gzip.decompress(DATA.read_bytes()))
    arcs = [_decode(arc, **topology["transform"]) for arc in topology["arcs"]]
    for shape in topology["objects"]["counties"]["geometries"]:
        polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
        coordinates = [[_ring(indices, arcs) for indices in polygon] for polygon in polygons]
        geometry = {
            "type": shape["type"],
            "coordinates": coordinates if shape["type"] == "MultiPolygon" else coordinates[0],
        }
        yield County(fips=shape["id"], name=shape["properties"]["name"], geometry=geometry)


def _decode(arc: list[list[int]], *, scale: list[float], translate: list[float]) -> list[Position]:
    steps = accumulate(arc, lambda at, step: [at[0] + step[0], at[1] + step[1]])
    return [[x * scale[0] + translate[0], y * scale[1] + translate[1]] for x, y in steps]


def _ring(indices: list[int], arcs: list[list[Position]]) -> list[Position]:
    """Arcs end to end, each sharing a position with the one before; ~i is arc i backwards."""
    ring: list[Position] = []
    for index in indices:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        ring += arc[1:] if ring else arc
    return ring
