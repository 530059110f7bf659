"""The list of sites by a filter in CQL2."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, one_database, point, problem_of, site

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]}
API_PAGE = Path(__file__).parents[3] / "docs/reference/api.md"
postgresql_only = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


@pytest.fixture
def three_sites(api: Api) -> None:
    api.editor.create("/sites", site(name="Pumping station 7", kind="pump"))
    api.editor.create("/sites", site(SQUARE, name="Reservoir", kind="basin", external_id="R-1"))
    api.editor.create("/sites", site(point(2, 2), name="pumping STATION 8", kind="pump", external_id="P-8"))


def names(api: Api, **params: Any) -> set[str]:
    return {row["properties"]["name"] for row in api.viewer.listed("/sites", **params)}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"filter": "kind = 'pump' AND external_id IS NULL"}, {"Pumping station 7"}),
        ({"filter": "CASEI(name) LIKE CASEI('%Station 8')"}, {"pumping STATION 8"}),
        ({"filter": "S_INTERSECTS(geometry, BBOX(1,1,3,3))"}, {"Reservoir", "pumping STATION 8"}),
        ({"filter": "kind = 'pump'", "bbox": "1,1,3,3"}, {"pumping STATION 8"}),
        (
            {"filter": '{"op":"=","args":[{"property":"kind"},"basin"]}', "filter_lang": "cql2-json"},
            {"Reservoir"},
        ),
    ],
    ids=["null", "casei", "box", "box and bbox", "json"],
)
def test_a_filter_narrows_the_list(api: Api, three_sites: None, params: dict[str, str], found: set[str]) -> None:
    assert names(api, **params) == found


def test_pages_and_counts_are_of_what_the_filter_finds(api: Api, three_sites: None) -> None:
    params = {"filter": "kind = 'pump'", "limit": 1, "count": "exact", "sort": "name"}
    first = api.viewer.read("/sites", params=params)
    second = api.viewer.read(first["next"])
    assert (first["count"], second["count"], second["next"]) == (2, 2, None)
    assert [page["features"][0]["properties"]["kind"] for page in (first, second)] == ["pump", "pump"]


@one_database
def test_a_wrong_filter_is_a_problem_with_the_reason_and_the_place(api: Api) -> None:
    answer = api.viewer.get("/sites", params={"filter": "version = 1 AND knid = 'pump'"})
    assert problem_of(answer) == (400, "filter-invalid")
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["type"]) == (["query", "filter", "args", 1, "args", 0], "property_unknown")
    assert error["message"].startswith("There is no property knid. There are: ")


@one_database
def test_the_reason_comes_in_german_too(api: Api) -> None:
    answer = api.viewer.get("/sites", params={"filter": "version = 'x'"}, headers={"Accept-Language": "de"})
    assert answer.json()["detail"] == "Der Filter ist nicht verwendbar: siehe errors."
    assert answer.json()["errors"][0]["message"] == (
        "version = 'x' geht nicht: Das eine ist vom Typ number, das andere string."
    )


@one_database
def test_a_language_that_is_neither_is_refused(api: Api) -> None:
    answer = api.viewer.get("/sites", params={"filter": "true", "filter_lang": "sql"})
    assert problem_of(answer) == (422, "invalid-request")


@one_database
def test_sqlite_says_that_it_cannot_relate_geometries(api: Api) -> None:
    answer = api.viewer.get("/sites", params={"filter": "S_WITHIN(geometry, BBOX(0,0,1,1))"})
    assert problem_of(answer) == (501, "not-on-sqlite")


@postgresql_only
def test_postgis_relates_geometries(api: Api, three_sites: None) -> None:
    assert names(api, filter="S_WITHIN(geometry, POLYGON((-1 -1,5 -1,5 5,-1 5,-1 -1)))") == {
        "Reservoir",
        "pumping STATION 8",
    }
    assert names(api, filter="S_CONTAINS(geometry, POINT(1 1))") == {"Reservoir"}


@pytest.mark.parametrize(
    "text",
    ["kind = 'a'; DROP TABLE sites", "(" * 4000, "kind = '%(a)s'", "kind LIKE '%''\\", "\x00"],
    ids=["sql", "deep", "placeholder", "pattern", "nul"],
)
def test_a_hostile_filter_does_no_harm(api: Api, three_sites: None, text: str) -> None:
    assert api.viewer.get("/sites", params={"filter": text}).status_code in {200, 400}
    assert len(api.viewer.listed("/sites")) == 3


@postgresql_only
def test_the_examples_of_the_reference_find_something(api: Api, three_sites: None) -> None:
    examples = re.findall(r"^(filter=.+)$", API_PAGE.read_text(), re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        parameters = dict(part.split("=", 1) for part in example.split("&"))
        if "filter_lang" in parameters:
            json.loads(parameters["filter"])
        assert names(api, **parameters), example
