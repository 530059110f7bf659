"""Sites: GeoJSON Features in and out."""

from __future__ import annotations

import json
import uuid
from itertools import chain, pairwise
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from tests.support.api import Api, one_database, point, problem_of, site, wrong_fields

SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]
ISLAND = [[10, 10], [11, 10], [11, 11], [10, 10]]
BOW_TIE = [[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


GEOMETRIES: list[dict[str, Any]] = [
    point(13.4, 52.5),
    {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
    {"type": "LineString", "coordinates": [[179.123456789, -89.5], [-180, 90]]},
    {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
    polygon(SQUARE, HOLE),
    {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [ISLAND]]},
    {"type": "GeometryCollection", "geometries": [point(1, 2), polygon(SQUARE)]},
]


def test_a_new_site_is_a_feature_that_belongs_to_who_made_it(api: Api) -> None:
    body = site(external_id="P-7", properties={"depth_m": 3.5, "tags": [None, True, {"ä": "\u2028"}]})
    answer = api.editor.post("/sites", json=body)
    made = answer.json()
    assert answer.headers["Content-Type"] == "application/geo+json"
    assert answer.headers["Location"] == f"/api/v1/sites/{made['id']}"
    assert (made["type"], made["geometry"]) == ("Feature", body["geometry"])
    kept = {name: value for name, value in made["properties"].items() if name not in {"created_at", "updated_at"}}
    assert kept == body["properties"] | {"owner_id": api.editor.id, "version": 1}
    assert api.viewer.read(f"/sites/{made['id']}") == made


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: geometry["type"])
def test_every_kind_of_geometry_comes_back_as_it_went_in(api: Api, geometry: dict[str, Any]) -> None:
    assert api.editor.create("/sites", site(geometry))["geometry"] == geometry


def test_geojson_may_be_sent_by_its_own_media_type(api: Api) -> None:
    answer = api.editor.post("/sites", json=site(), headers={"Content-Type": "application/geo+json"})
    assert answer.status_code == 201


WORLD = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
LUNE = [[0, -90], [10, -90], [10, 90], [0, 90], [0, -90]]
MERIDIAN = [[7, -90], [7, 90], [8, 0], [7, -90]]
HALF_EQUATOR = [[0, 0], [180, 0], [90, 45], [0, 0]]


def in_halves(ring: list[list[float]]) -> list[list[float]]:
    """With a position in the middle of each edge."""
    middles = [[(lon + to_lon) / 2, (lat + to_lat) / 2] for (lon, lat), (to_lon, to_lat) in pairwise(ring)]
    return [*chain.from_iterable(zip(ring, middles, strict=False)), ring[0]]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("ring", [WORLD, LUNE, MERIDIAN, HALF_EQUATOR], ids=["world", "lune", "meridian", "equator"])
def test_an_edge_between_opposite_places_is_refused_as_postgis_does_and_in_two_parts_it_is_none(
    api: Api, ring: list[list[float]]
) -> None:
    area = text("SELECT ST_Area(geography(ST_GeomFromGeoJSON(:ring)))")
    with api.app.state.database.engine.connect() as connection, pytest.raises(InternalError, match="Antipodal"):
        connection.execute(area, {"ring": json.dumps(polygon(ring))})
    refused = api.editor.post("/sites", json=site(polygon(ring)))
    assert {error["type"] for error in refused.json()["errors"]} == {"antipodal"}

    api.editor.create("/sites", site(polygon(in_halves(ring))))
    assert len(api.viewer.listed("/sites", near="5,5,20000000")) == 1


@pytest.mark.parametrize(
    ("geometry", "fault"),
    [
        (polygon(SQUARE[:-1]), "ring_unclosed"),
        (polygon(BOW_TIE), "self_crossing"),
        (polygon([[0, 0], [180, 0], [90, 45], [0, 0]]), "antipodal"),
        (point(200, 0), "beyond_antimeridian"),
        (point(52.5, 113.4), "swapped"),
        ({"type": "LineString", "coordinates": []}, "empty"),
        ({"type": "Point", "coordinates": [1, 2, 3]}, "position_not_2d"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_geometry_is_refused_with_the_reason_and_the_place(
    api: Api, geometry: dict[str, Any], fault: str
) -> None:
    made = api.editor.create("/sites", site())
    for answer in (
        api.editor.post("/sites", json=site(geometry)),
        api.editor.put(f"/sites/{made['id']}", json=site(geometry)),
        api.editor.patch(f"/sites/{made['id']}", json={"geometry": geometry}),
    ):
        assert problem_of(answer) == (422, "invalid-geometry")
        (error,) = answer.json()["errors"]
        assert error["type"] == fault
        assert error["loc"][:3] == ["body", "geometry", "coordinates"]
    assert api.editor.read(f"/sites/{made['id']}") == made


@one_database
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_coordinate_is_a_finite_number(api: Api, number: str) -> None:
    content = '{"type":"Feature","geometry":{"type":"Point","coordinates":[%s,1]},"properties":{"name":"a","kind":"b"}}'
    answer = api.editor.post("/sites", content=content % number, headers={"Content-Type": "application/json"})
    assert wrong_fields(answer) == [("body.geometry.coordinates", "not_finite")]


@one_database
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (site(name=""), ("body.properties.name", "string_too_short")),
        (site(kind=None), ("body.properties.kind", "string_type")),
        (site(external_id=""), ("body.properties.external_id", "string_too_short")),
        (site(properties=[]), ("body.properties.properties", "dict_type")),
        (site(properties={"a": "\0"}), ("body.properties.properties", "json_text")),
        (site(owner_id=str(uuid.UUID(int=7))), ("body.properties.owner_id", "extra_forbidden")),
        (site() | {"id": "7"}, ("body.id", "extra_forbidden")),
        (site() | {"type": "Point"}, ("body.type", "literal_error")),
        (site() | {"geometry": None}, ("body.geometry", "model_attributes_type")),
        (site() | {"geometry": {"type": "Circle"}}, ("body.geometry", "union_tag_invalid")),
    ],
    ids=str,
)
def test_a_wrong_or_unknown_member_is_named(api: Api, body: dict[str, Any], fault: tuple[str, str]) -> None:
    assert wrong_fields(api.editor.post("/sites", json=body)) == [fault]


def test_an_external_id_is_unique_among_the_sites_of_one_owner(api: Api) -> None:
    api.editor.create("/sites", site(external_id="P-7"))
    other = api.editor.create("/sites", site(external_id="P-8"))
    for answer in (
        api.editor.post("/sites", json=site(external_id="P-7")),
        api.editor.put(f"/sites/{other['id']}", json=site(external_id="P-7")),
        api.editor.patch(f"/sites/{other['id']}", json={"properties": {"external_id": "P-7"}}),
    ):
        assert problem_of(answer) == (409, "conflict")
        assert answer.json()["field"] == "external_id"
    api.admin.create("/sites", site(external_id="P-7"))
    api.editor.create("/sites", site())
    api.editor.create("/sites", site())


def test_a_replacement_resets_what_it_leaves_out_but_the_owner(api: Api) -> None:
    made = api.editor.create("/sites", site(external_id="P-7", properties={"a": 1}))
    replaced = api.admin.put(f"/sites/{made['id']}", json=site(point(1, 2), name="New")).json()
    properties: dict[str, Any] = {"name": "New", "kind": "pump", "external_id": None, "properties": {}, "version": 2}
    properties["updated_at"] = replaced["properties"]["updated_at"]
    assert replaced == made | {"geometry": point(1, 2), "properties": made["properties"] | properties}


def test_a_patch_changes_what_it_names_only(api: Api) -> None:
    made = api.editor.create("/sites", site(external_id="P-7", properties={"a": 1}))
    where = f"/sites/{made['id']}"
    moved = api.editor.patch(where, json={"geometry": point(1, 2)}).json()
    assert moved["geometry"] == point(1, 2)
    assert {n for n in made["properties"] if moved["properties"][n] != made["properties"][n]} == {
        "version",
        "updated_at",
    }
    renamed = api.editor.patch(where, json={"properties": {"name": "New", "external_id": None}}).json()
    assert (renamed["geometry"], renamed["properties"]["version"]) == (point(1, 2), 3)
    changed = {n for n in made["properties"] if renamed["properties"][n] != moved["properties"][n]}
    assert changed == {"name", "external_id", "version", "updated_at"}


@one_database
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"geometry": None}, "body.geometry"),
        ({"properties": None}, "body.properties"),
        ({"properties": {"name": None}}, "body.properties.name"),
        ({"properties": {"properties": None}}, "body.properties.properties"),
    ],
    ids=str,
)
def test_null_clears_only_what_may_be_null(api: Api, body: dict[str, Any], where: str) -> None:
    made = api.editor.create("/sites", site())
    assert [loc for loc, _ in wrong_fields(api.editor.patch(f"/sites/{made['id']}", json=body))] == [where]


def test_a_deleted_site_is_gone(api: Api) -> None:
    where = f"/sites/{api.editor.create('/sites', site())['id']}"
    assert api.editor.delete(where).status_code == 204
    for answer in (
        api.editor.get(where),
        api.editor.delete(where),
        api.editor.patch(where, json={}),
        api.editor.put(where, json=site()),
    ):
        assert problem_of(answer) == (404, "not-found")
