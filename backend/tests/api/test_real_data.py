"""A data set that was not made for these tests, through the API: what goes in, what is refused, what is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import shapely
from shapely.geometry import box, shape

from app.services.geometry_faults import TEMPLATES
from tests.support.api import Api, problem_of, running, site
from tests.support.conformance import Document
from tests.support.counties import County, counties
from tests.support.database import empty_all_tables
from tests.support.settings import make_settings

pytestmark = pytest.mark.slow

STORED = 1_200  # of the counties that are valid; storing all takes a minute and shows no more
BOXES = {
    "Texas, at noon": (-100.0, 30.0, -97.5, 32.0),
    "the lower 48": (-125.0, 24.0, -66.0, 50.0),
    "across the antimeridian": (170.0, 50.0, -160.0, 60.0),
    "an ocean": (-40.0, 20.0, -30.0, 30.0),
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of the counties, by their key; `invalid` are those that another library calls so."""

    api: Api
    stored: dict[str, County]
    invalid: set[str]
    refused: dict[str, Any]


def is_valid(county: County) -> bool:
    """As another library sees it."""
    try:
        return bool(shape(county.geometry).is_valid)
    except ValueError:
        return False


@pytest.fixture(scope="module")
def loaded(database_url: str, document: Document, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    settings = make_settings(tmp_path_factory.mktemp("service"), database_url=database_url)
    with running(settings, document) as api:
        with api.app.state.database.engine.begin() as connection:
            empty_all_tables(connection)
        valid: list[County] = []
        invalid: list[County] = []
        for county in counties():
            (valid if is_valid(county) else invalid).append(county)
        stored, refused = {}, {}
        # Every other one, so that all states are there.
        for county in [*valid[::2][:STORED], *invalid]:
            body = site(county.geometry, name=county.name, kind="county", external_id=county.fips)
            answer = api.editor.post("/sites", json=body)
            if answer.status_code == 201:
                stored[county.fips] = county
            else:
                refused[county.fips] = answer
        yield Loaded(api=api, stored=stored, invalid={county.fips for county in invalid}, refused=refused)


def test_a_thousand_real_areas_are_stored(loaded: Loaded) -> None:
    assert len(loaded.stored) >= 1_000


def test_those_that_are_invalid_are_refused_with_the_reason_and_the_place(loaded: Loaded) -> None:
    assert loaded.refused.keys() == loaded.invalid
    kinds = set()
    for answer in loaded.refused.values():
        assert problem_of(answer) == (422, "invalid-geometry")
        for error in answer.json()["errors"]:
            assert error["loc"][:3] == ["body", "geometry", "coordinates"]
            kinds.add(error["type"])
    assert len(TEMPLATES) > len(kinds) > 0


def found(loaded: Loaded, **params: Any) -> list[dict[str, Any]]:
    """Every site of every page."""
    page = loaded.api.viewer.read("/sites", params={"limit": 100, "sort": "name"} | params)
    rows: list[dict[str, Any]] = page["features"]
    while page["next"]:
        page = loaded.api.viewer.read(page["next"])
        rows += page["features"]
    return rows


def test_paging_gives_each_of_them_once_in_order(loaded: Loaded) -> None:
    rows = found(loaded, limit=97)
    assert sorted(row["properties"]["external_id"] for row in rows) == sorted(loaded.stored)
    names = [row["properties"]["name"] for row in rows]
    assert names == sorted(names)


@pytest.mark.parametrize("name", BOXES)
def test_a_box_holds_what_it_holds_by_another_library(loaded: Loaded, name: str) -> None:
    west, south, east, north = BOXES[name]
    areas = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    boxes = shapely.union_all([box(start, south, end, north) for start, end in areas])
    expected = {fips for fips, county in loaded.stored.items() if boxes.intersects(shape(county.geometry))}
    rows = found(loaded, bbox=",".join(map(str, BOXES[name])))
    assert {row["properties"]["external_id"] for row in rows} == expected
    assert len(rows) == len(expected)


def test_a_geometry_comes_back_to_the_ninth_digit(loaded: Loaded) -> None:
    for row in found(loaded, bbox="-100,30,-99,31"):
        original = shape(loaded.stored[row["properties"]["external_id"]].geometry)
        assert shapely.hausdorff_distance(shape(row["geometry"]), original) < 1e-9
