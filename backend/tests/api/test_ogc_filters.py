"""OGC API - Features, Part 3: what filters may name, and sites by a condition in CQL2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.services.cql2 import CONFORMANCE, QUERYABLES
from tests.support.api import point, problem_of, site
from tests.support.ogc import CRS84, HOST, ITEMS, Ogc, epsg, href, meets

LIST = "/collections/sites/queryables"
SCHEMA = "application/schema+json"
RELATION = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
postgresql_only = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


@pytest.fixture
def three(ogc: Ogc) -> list[dict[str, Any]]:
    """The sites a, b and c, made in this order, ten degrees from one to the next."""
    return [
        ogc.api.editor.create("/sites", site(point(10 * at, 50), name=name, kind=kind, external_id=f"X-{name}"))
        for at, (name, kind) in enumerate([("a", "pump"), ("b", "well"), ("c", "pump")])
    ]


@meets(
    "/req/queryables/get-queryables-op", "/req/queryables/get-queryables-response",
    "/req/features-filter/get-queryables-op",
)  # fmt: skip
def test_the_queryables_are_a_json_schema_of_what_filters_may_name(empty_ogc: Ogc) -> None:
    answer = empty_ogc.get(f"{LIST}?f=json", accept=SCHEMA)
    assert answer.headers["Content-Type"] == SCHEMA
    schema = answer.json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"{HOST}/ogc{LIST}"
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert schema["properties"].keys() == QUERYABLES.keys()
    assert schema["properties"]["geometry"] == {"format": "geometry-any"}
    assert schema["properties"]["updated_at"] == {"type": "string", "format": "date-time"}
    assert all("type" in found for name, found in schema["properties"].items() if name != "geometry")


@meets("/req/queryables/queryables-link", "/req/features-filter/queryables-link")
def test_the_collection_links_to_its_queryables(empty_ogc: Ogc) -> None:
    (listed,) = empty_ogc.read("/collections")["collections"]
    for sites in (listed, empty_ogc.read("/collections/sites")):
        assert href(sites, RELATION, SCHEMA) == f"{HOST}/ogc{LIST}"


@pytest.mark.parametrize("name", QUERYABLES)
@meets("/req/queryables/expression-construction")
def test_every_queryable_may_stand_in_a_filter(empty_ogc: Ogc, name: str) -> None:
    assert empty_ogc.found(filter=f"{name} IS NOT NULL") == []


@meets("/req/queryables-query-parameters/parameters")
def test_every_queryable_with_a_simple_value_is_a_parameter_too(ogc: Ogc, three: list[dict[str, Any]]) -> None:
    parameters = ogc.definition["components"]["parameters"]
    simple = {name: queryable.schema for name, queryable in QUERYABLES.items() if name != "geometry"}
    assert {name: parameters[name]["schema"] for name in simple} == simple
    ogc.api.editor.patch(f"/sites/{three[1]['id']}", json={"properties": {"kind": "spring"}})
    (b,) = (found for found in ogc.read(ITEMS)["features"] if found["id"] == three[1]["id"])
    own = {"id": b["id"], **b["properties"]}
    for name in simple.keys() - {"owner_id"}:
        assert ogc.found(**{name: own[name]}) == ["b"], name
    assert ogc.found(owner_id=own["owner_id"]) == ["a", "b", "c"]


PUMPS = {"op": "=", "args": [{"property": "kind"}, "pump"]}


FINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ac", {"filter": "kind = 'pump'"}),
    ("ac", {"filter": "kind = 'pump'", "filter-lang": "cql2-text"}),
    ("ac", {"filter": json.dumps(PUMPS), "filter-lang": "cql2-json"}),
    ("b", {"filter": "NOT kind = 'pump'"}),
    ("bc", {"filter": "S_INTERSECTS(geometry, BBOX(5,40,25,60))"}),
    ("bc", {"filter": "S_INTERSECTS(geometry, BBOX(5,40,25,60))", "filter-crs": CRS84}),
    ("c", {"filter": "kind = 'pump'", "bbox": "5,40,25,60"}),
    ("a", {"filter": "kind = 'pump'", "name": "a"}),
    ("", {"filter": "kind = 'pump'", "datetime": "2000-01-01T00:00:00Z/2001-01-01T00:00:00Z"}),
    ("ac", {"filter": "kind = 'pump'", "datetime": "2001-01-01T00:00:00Z/.."}),
)


@meets(
    "/req/filter/filter-param", "/req/filter/filter-lang-param", "/req/filter/filter-crs-wgs84",
    "/req/filter/mixing-expressions", "/req/filter/response", "/req/features-filter/filter-param",
    "/req/features-filter/filter-lang-param", "/req/features-filter/response",
)  # fmt: skip
def test_a_filter_narrows_what_the_other_parameters_find(ogc: Ogc, three: list[dict[str, Any]]) -> None:
    assert [("".join(ogc.found(**params)), params) for _, params in FINDS] == list(FINDS)


@postgresql_only
@meets("/req/filter/filter-crs-param", "/req/features-filter/filter-crs-param")
def test_coordinates_in_a_filter_may_be_web_mercators(ogc: Ogc, three: list[dict[str, Any]]) -> None:
    box = "S_INTERSECTS(geometry, BBOX(1100000,6400000,1200000,6500000))"
    assert ogc.found(filter=box, **{"filter-crs": epsg(3857)}) == ["b"]
    assert ogc.found(filter="S_INTERSECTS(geometry, BBOX(5,40,15,60))", **{"filter-crs": epsg(3857)}) == []


@postgresql_only
@pytest.mark.parametrize("shape", ["BBOX(0,0,2e7,3e7)", "POINT(20037509 0)", "LINESTRING(0 0,0 -1e9)"])
def test_a_place_beyond_the_system_is_refused(ogc: Ogc, shape: str) -> None:
    params: dict[str, Any] = {"filter": f"S_INTERSECTS(geometry, {shape})", "filter-crs": epsg(3857)}
    answer = ogc.get(ITEMS, **params)
    assert problem_of(answer) == (400, "filter-invalid")
    assert [error["type"] for error in answer.json()["errors"]] == ["out_of_bounds"]


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_sqlite_says_that_it_filters_by_boxes_in_degrees_only(ogc: Ogc) -> None:
    asked: list[dict[str, Any]] = [
        {"filter": "S_WITHIN(geometry, BBOX(0,0,1,1))"},
        {"filter": "S_INTERSECTS(geometry, BBOX(0,0,1,1))", "filter-crs": epsg(3857)},
    ]
    for params in asked:
        assert problem_of(ogc.get(ITEMS, **params)) == (501, "not-on-sqlite")


def test_the_classes_of_cql2_are_declared_and_on_sqlite_not_the_spatial_ones(ogc: Ogc, dialect: str) -> None:
    declared = {uri for uri in ogc.read("/conformance")["conformsTo"] if "/cql2/" in uri}
    spatial = {uri for uri in CONFORMANCE if "spatial-functions" in uri}
    assert len(spatial) == 3
    assert declared == set(CONFORMANCE) - (spatial if dialect == "sqlite" else set())


def test_the_pages_of_a_filter_are_walked_and_counted(ogc: Ogc, three: list[dict[str, Any]]) -> None:
    params = {"filter": "kind = 'pump'", "filter-lang": "cql2-text", "filter-crs": CRS84}
    pages = list(ogc.walk(limit=1, count="exact", **params))
    assert [[feature["properties"]["name"] for feature in page["features"]] for page in pages] == [["a"], ["c"]]
    assert [page["numberMatched"] for page in pages] == [2, 2]


@meets("/req/filter/filter-lang-param", "/req/filter/filter-crs-param")
def test_the_parameters_are_defined_as_the_standard_says(empty_ogc: Ogc) -> None:
    parameters = empty_ogc.definition["components"]["parameters"]
    language = {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"}
    assert parameters["filter-lang"]["schema"] == language
    assert parameters["filter-crs"]["schema"]["enum"] == [CRS84, epsg(3857)]
    assert parameters["filter"]["schema"] == {"type": "string"}


@pytest.mark.parametrize(
    ("text", "kind"), [("knid = 'pump'", "property_unknown"), ("kind =", "text_ends"), ("", "text_ends")]
)
@meets("/req/features-filter/response", "/req/queryables/get-queryables-response")
def test_a_wrong_filter_is_refused_with_the_reason(empty_ogc: Ogc, text: str, kind: str) -> None:
    answer = empty_ogc.get(ITEMS, filter=text)
    assert problem_of(answer) == (400, "filter-invalid")
    assert [(error["loc"][:2], error["type"]) for error in answer.json()["errors"]] == [(["query", "filter"], kind)]


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"filter-lang": "cql-text"}, "literal_error"),
        ({"filter-crs": epsg(4326)}, "crs_unknown"),
        ({"filter-crs": epsg(25832)}, "crs_unknown"),
        ({"filter_lang": "cql2-text"}, "extra_forbidden"),
        ({"version": "0"}, "greater_than_equal"),
        ({"version": str(2**31)}, "less_than_equal"),
        ({"created_at": "1"}, "datetime_iso"),
        ({"id": "7"}, "uuid_parsing"),
    ],
    ids=str,
)
@meets("/req/features-filter/response")
def test_a_wrong_parameter_of_the_filter_is_refused(empty_ogc: Ogc, params: dict[str, Any], kind: str) -> None:
    answer = empty_ogc.get(ITEMS, filter="TRUE", **params)
    assert problem_of(answer) == (400, "invalid-parameter")
    assert [(error["loc"], error["type"]) for error in answer.json()["errors"]] == [(["query", *params], kind)]
