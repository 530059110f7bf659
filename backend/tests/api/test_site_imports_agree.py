"""One judge: whatever a single POST says of a feature, the import says, and stores the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.api import Api, site

RING = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
HOLE = [[0.2, 0.2], [0.2, 0.4], [0.4, 0.4], [0.4, 0.2], [0.2, 0.2]]
POINT = {"type": "Point", "coordinates": [1, 2]}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def ring_with(position: Any) -> dict[str, Any]:
    return polygon([[0, 0], position, [1, 1], [0, 1], [0, 0]])


GEOMETRIES: list[Any] = [
    POINT,
    polygon(RING),
    polygon(RING[::-1]),
    polygon(RING, HOLE),
    polygon([[180, 80], [180, -70], [-180, -70], [-180, 80], [180, 80]]),
    ring_with([1.000000000123, 0]),
    ring_with([1e-320, 0.5]),
    {"type": "Polygon", "coordinates": [RING], "bbox": [0, 0, 1, 1]},
    {"type": "MultiPolygon", "coordinates": [[RING], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]},
    {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
    {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
    {"type": "GeometryCollection", "geometries": [POINT, polygon(RING)]},
    # and what is wrong
    polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
    polygon([[0, 0], [1, 0], [1, 1], [0, 1]]),
    polygon([[0, 0], [180, 0], [90, 45], [0, 0]]),
    {"type": "MultiPoint", "coordinates": [[0, 0], [180, 0]]},
    polygon([[0, 0], [1, 0], [0, 0]]),
    polygon([[0, 0], [1, 1], [2, 2], [0, 0]]),
    polygon(RING, RING),
    polygon(RING, [[5, 5], [6, 5], [6, 6], [5, 5]]),
    polygon(),
    polygon([]),
    polygon(7),
    {"type": "Polygon", "coordinates": None},
    {"type": "Polygon"},
    {"type": "Polygon", "coordinates": [RING], "crs": None},
    ring_with([1]),
    ring_with([1, 0, 5]),
    ring_with(["1", 0]),
    ring_with([True, 0]),
    ring_with([None, 0]),
    ring_with([float("nan"), 0]),
    ring_with([float("inf"), 0]),
    ring_with([10**400, 0]),
    polygon([[float("nan"), 0], [1, 0], [1, 1], [float("nan"), 0]]),
    polygon([[0, 0], [3, 0], [3, 3], [float("inf"), 1], [0, 0]]),
    ring_with([181, 0]),
    ring_with([0, 91]),
    ring_with([52, 113]),
    ring_with(7),
    {"type": "Circle", "coordinates": [0, 0]},
    {"type": "GeometryCollection", "geometries": []},
    {"type": "LineString", "coordinates": [[0, 0], [0, 0]]},
    None,
    7,
]
PROPERTIES: list[dict[str, Any]] = [
    {"name": "x" * 200},
    {"external_id": "P-7"},
    {"properties": {"deep": {"a": [1, None, "ü", 1.5, 10**30]}}},
    {"name": '"\\\t\n\r,', "kind": "\\."},
    {"name": "a\rb", "kind": "\r"},
    # and what is wrong
    {"name": "x" * 201},
    {"name": ""},
    {"name": "a\0b"},
    {"name": "\ud800"},
    {"name": None},
    {"name": 7},
    {"kind": ["pump"]},
    {"external_id": ""},
    {"external_id": 7},
    {"properties": None},
    {"properties": {"a": float("nan")}},
    {"properties": {"a": "\0"}},
    {"properties": {"a\ud800": 1}},
    {"properties": {"a": list(range(10_000))}},
    {"nmae": "a misspelt member"},
]
WHOLE: list[Any] = [
    {},
    [],
    None,
    "Feature",
    site() | {"type": "feature"},
    site() | {"more": 1},
    {key: value for key, value in site().items() if key != "geometry"},
    {key: value for key, value in site().items() if key != "properties"},
]


def features() -> Iterator[Any]:
    for geometry in GEOMETRIES:
        yield site() | {"geometry": geometry}
    for properties in PROPERTIES:
        yield site(**properties)
    yield from WHOLE


def stored(feature: dict[str, Any]) -> Any:
    kept = copy.deepcopy(feature)
    del kept["id"]
    for name in ("created_at", "updated_at", "owner_id", "version"):
        del kept["properties"][name]
    return kept


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_import_and_a_single_post_agree(api: Api, language: str) -> None:
    one, many = api.user("editor"), api.user("editor")
    headers = {"Content-Type": "application/json", "Accept-Language": language}
    accepted = 0
    for feature in features():
        single = one.post("/sites", content=json.dumps(feature), headers=headers)
        whole = json.dumps({"type": "FeatureCollection", "features": [feature]})
        bulk = many.post("/sites/import", content=whole, headers=headers)

        assert (bulk.status_code == 200) is (single.status_code == 201), (feature, single.text, bulk.text)
        if single.status_code == 201:
            accepted += 1
            assert bulk.json()["created"] == 1
            (newest,) = api.viewer.listed("/sites", owner_id=many.id, limit=1)
            assert stored(newest) == stored(single.json())
        else:
            said = [(error["loc"][3:], error["type"], error["message"]) for error in bulk.json()["errors"]]
            expected = [(error["loc"][1:], error["type"], error["message"]) for error in single.json()["errors"]]
            assert said == expected, feature
    assert accepted == 18
