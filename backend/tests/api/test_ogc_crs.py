"""OGC API - Features, Part 2: coordinates and boxes in other systems."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Select, literal_column, select, text

from app.db.types import explain
from app.models import Site
from app.queries.features import in_box
from app.schemas.crs import SYSTEMS
from tests.support.api import point, problem_of, site
from tests.support.ogc import CRS84, ITEMS, Ogc, epsg, meets

postgresql_only = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

# Where the systems' own definitions say what comes out: on a central meridian, or at an edge.
PLACES = {
    CRS84: ((9.5, 52.25), (9.5, 52.25)),
    epsg(4326): ((9.5, 52.25), (52.25, 9.5)),
    epsg(3857): ((180 / 2, 0), (20037508.342789244 / 2, 0)),
    epsg(25831): ((3, 0), (500_000, 0)),
    epsg(25832): ((9, 0), (500_000, 0)),
    epsg(25833): ((15, 0), (500_000, 0)),
    epsg(3035): ((10, 52), (3_210_000, 4_321_000)),
}
METRE = 1.0


@meets("/req/crs/crs-uri", "/req/crs/fc-md-crs-list", "/req/crs/fc-md-crs-list-global")
def test_the_systems_are_listed_the_default_first(empty_ogc: Ogc) -> None:
    everywhere = empty_ogc.read("/collections")
    assert everywhere["crs"] == list(PLACES)
    assert everywhere["collections"][0]["crs"] == ["#/crs"]
    assert empty_ogc.read("/collections/sites")["crs"] == list(PLACES)


@meets("/req/crs/fc-md-storageCrs", "/req/crs/fc-md-storageCrs-valid-value")
def test_the_stored_system_is_one_of_them(empty_ogc: Ogc) -> None:
    sites = empty_ogc.read("/collections/sites")
    assert sites["storageCrs"] == CRS84
    assert sites["storageCrs"] in sites["crs"]


@meets("/req/crs/fc-crs-definition", "/req/crs/fc-bbox-crs-definition")
def test_the_parameters_name_every_system(empty_ogc: Ogc) -> None:
    for name in ("crs", "bbox-crs"):
        schema = {"type": "string", "format": "uri", "enum": list(PLACES), "default": CRS84}
        assert empty_ogc.definition["components"]["parameters"][name]["schema"] == schema


@postgresql_only
@meets("/req/crs/fc-crs-action", "/req/crs/ogc-crs-header", "/req/crs/ogc-crs-header-value", "/req/crs/geojson")
def test_coordinates_come_in_the_system_that_is_asked_for_with_its_order_of_axes(ogc: Ogc) -> None:
    for uri, (place, expected) in PLACES.items():
        where = f"{ITEMS}/{ogc.api.editor.create('/sites', site(point(*place), name=uri))['id']}"
        for path in (where, f"{ITEMS}?name={quote(uri)}"):
            answer = ogc.get(f"{path}{'&' if '?' in path else '?'}crs={uri}")
            assert answer.headers["Content-Crs"] == f"<{uri}>"
            feature = answer.json() if path == where else answer.json()["features"][0]
            assert feature["geometry"].keys() == {"type", "coordinates"}
            assert feature["geometry"]["coordinates"] == pytest.approx(expected, abs=1e-3)


@meets("/req/crs/fc-crs-default-value", "/req/crs/fc-bbox-crs-default-value")
def test_degrees_with_the_latitude_first_are_had_on_either_database(ogc: Ogc) -> None:
    line = {"type": "LineString", "coordinates": [[9.5, 52.25], [10, 53]]}
    ogc.api.editor.create("/sites", site(line, name="line"))
    for crs, first, box in ((CRS84, [9.5, 52.25], "9,52,9.6,52.4"), (epsg(4326), [52.25, 9.5], "52,9,52.4,9.6")):
        asked = {} if crs == CRS84 else {"crs": crs, "bbox-crs": crs}
        (feature,) = ogc.read(ITEMS, bbox=box, **asked)["features"]
        assert feature["geometry"]["coordinates"][0] == first
        assert ogc.found(bbox=box, **{"bbox-crs": epsg(4326) if crs == CRS84 else CRS84}) == []


@postgresql_only
@meets("/req/crs/fc-bbox-crs-action")
def test_a_box_is_taken_in_its_own_system_and_order_of_axes(ogc: Ogc) -> None:
    for uri, (place, _) in PLACES.items():
        ogc.api.editor.create("/sites", site(point(*place), name=uri))
    for uri, (_, (first, second)) in PLACES.items():
        beside = (first + METRE, second + METRE, first + 2 * METRE, second + 2 * METRE)
        around = (first - METRE, max(second - METRE, 0), first + METRE, second + METRE)
        if SYSTEMS[uri].is_stored:
            assert ogc.found(bbox=boxed(around), **{"bbox-crs": uri}) == [CRS84, epsg(4326), epsg(3035)]
        else:
            assert ogc.found(bbox=boxed(around), **{"bbox-crs": uri}) == [uri]
            assert ogc.found(bbox=boxed(beside), **{"bbox-crs": uri}) == []


def boxed(numbers: tuple[float, ...]) -> str:
    return ",".join(map(str, numbers))


@postgresql_only
def test_the_sides_of_a_box_are_straight_in_its_own_system(ogc: Ogc) -> None:
    """Its upper side, 2 000 km long, is half a degree further north in the middle than at its ends."""
    ogc.api.editor.create("/sites", site(point(9, 54.9), name="below the bent side"))
    ogc.api.editor.create("/sites", site(point(9, 55.2), name="above it"))
    box = "-500000,6000000,1500000,6100000"
    assert ogc.found(bbox=box, **{"bbox-crs": epsg(25832)}) == ["below the bent side"]


@postgresql_only
def test_more_than_the_world_is_the_world(ogc: Ogc) -> None:
    ogc.api.editor.create("/sites", site(point(9, 52), name="here"))
    for uri in PLACES:
        assert ogc.found(bbox="-1e9,-1e9,1e9,1e9", **{"bbox-crs": uri}) == ["here"]
        assert ogc.found(bbox="1e9,1e9,2e9,2e9", **{"bbox-crs": uri}) == []


@postgresql_only
def test_a_site_that_the_system_cannot_reach_is_told_and_the_others_can_be_had(ogc: Ogc) -> None:
    far = ogc.api.editor.create("/sites", site(point(105, 0), name="far"))
    ogc.api.editor.create("/sites", site(point(15, 52), name="near"))
    for path in (ITEMS, f"{ITEMS}/{far['id']}"):
        answer = ogc.get(path, crs=epsg(25833))
        assert problem_of(answer) == (400, "crs-out-of-range")
        assert answer.json()["crs"] == "ETRS89 / UTM zone 33N"
    assert ogc.found(bbox="10,50,20,60", crs=epsg(25833)) == ["near"]


@postgresql_only
def test_a_box_in_another_system_is_looked_up_in_the_index(ogc: Ogc) -> None:
    boxes = {CRS84: (13.0, 52.0, 13.5, 52.5), epsg(25833): (4e5, 5.8e6, 4.1e5, 5.9e6)}
    with ogc.api.app.state.database.session() as session, session.begin():
        session.execute(text("SET LOCAL enable_seqscan = off"))
        for uri, box in boxes.items():
            statement: Select[Any] = select(literal_column("1")).select_from(Site).where(in_box(box, SYSTEMS[uri]))
            plan = session.execute(explain(statement)).scalar_one()
            assert "ix_sites_geom" in str(plan), plan
            assert "st_transform(geom" not in str(plan).lower()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_sqlite_says_that_it_knows_degrees_only(ogc: Ogc) -> None:
    where = f"{ITEMS}/{ogc.api.editor.create('/sites', site())['id']}"
    for path, name in ((ITEMS, "crs"), (ITEMS, "bbox-crs"), (where, "crs")):
        assert problem_of(ogc.get(f"{path}?{name}={epsg(25833)}")) == (501, "not-on-sqlite")


@meets(
    "/req/crs/crs-exception", "/req/crs/fc-crs-valid-value", "/req/crs/bbox-crs-exception",
    "/req/crs/fc-bbox-crs-valid-value",
)  # fmt: skip
@pytest.mark.parametrize("name", ["crs", "bbox-crs"])
@pytest.mark.parametrize("value", [epsg(1), "EPSG:25832", "", "25832"])
def test_an_unknown_system_is_refused_with_those_there_are(empty_ogc: Ogc, name: str, value: str) -> None:
    answer = empty_ogc.get(f"{ITEMS}?{name}={value}")
    assert problem_of(answer) == (400, "invalid-parameter")
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["type"]) == (["query", name], "crs_unknown")
    assert epsg(25832) in error["message"]
