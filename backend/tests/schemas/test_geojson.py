"""GeoJSON in the OpenAPI document, and what of it reaches the check of coordinates."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.schemas.geojson import Geometry
from app.services.geometry import parse_geometry

geometry: TypeAdapter[Any] = TypeAdapter(Geometry)
SCHEMA = geometry.json_schema()
TYPES = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"]


def examples() -> list[dict[str, Any]]:
    members = {name: "geometries" if name == "GeometryCollection" else "coordinates" for name in TYPES}
    return [
        {"type": name, member: example}
        for name, member in members.items()
        for example in SCHEMA["$defs"][name]["properties"][member]["examples"]
    ]


def conforms(geojson: object) -> bool:
    validator: Any = OAS31Validator(SCHEMA)
    return bool(validator.is_valid(geojson))


@pytest.mark.parametrize("example", examples(), ids=TYPES)
def test_each_type_has_an_example_that_conforms_and_can_be_stored(example: dict[str, Any]) -> None:
    assert conforms(example)
    assert parse_geometry(geometry.validate_python(example).as_mapping(), loc=())


def test_the_union_is_one_schema_told_apart_by_type() -> None:
    class Body(BaseModel):
        geometry: Geometry
        former: Geometry | None = None

    schema = Body.model_json_schema()

    assert schema["properties"]["geometry"] == {"$ref": "#/$defs/Geometry"}
    assert set(schema["$defs"]) == {"Geometry", *TYPES}
    assert set(schema["$defs"]["Geometry"]["discriminator"]["mapping"]) == set(TYPES)


@pytest.mark.parametrize(
    "geojson",
    [
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": [1, 2, 3]},
        {"type": "Point", "coordinates": ["1", 2]},
        {"type": "Point", "coordinates": [181, 0]},
        {"type": "Point", "coordinates": [1, 2], "crs": {}},
        {"type": "MultiPoint", "coordinates": []},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": [[]]},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": []}]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_check_refuses_but_lets_it_through_to_be_explained(
    geojson: dict[str, Any],
) -> None:
    assert not conforms(geojson)
    assert geometry.validate_python(copy.deepcopy(geojson)).as_mapping() == geojson


def test_bbox_and_other_members_are_let_through() -> None:
    geojson = {"type": "Point", "coordinates": [1, 2], "bbox": [1, 2, 1, 2], "note": "x"}

    assert conforms(geojson)
    assert parse_geometry(geometry.validate_python(geojson).as_mapping(), loc=())


@pytest.mark.parametrize(
    ("geojson", "problem"),
    [
        ({"type": "Feature"}, "union_tag_invalid"),
        ({"coordinates": [1, 2]}, "union_tag_not_found"),
        ({"type": "Point"}, "missing"),
        ("POINT (1 2)", "model_attributes_type"),
    ],
    ids=str,
)
def test_what_is_no_geometry_at_all_is_refused_at_once(geojson: object, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        geometry.validate_python(geojson)

    assert [error["type"] for error in caught.value.errors()] == [problem]
