"""Vector tiles: what is on them, and where."""

from __future__ import annotations

import math
from typing import Any

import pytest
import shapely
from shapely.geometry import shape
from sqlalchemy import text

from app.queries.tiles import MAX_FEATURES, TOLERANCE
from app.services.tiles import Tiles
from app.settings import TilesSettings
from tests.support.api import Api, point, problem_of, site, wrong_fields
from tests.support.tiles import BERLIN, EXTENT, TILES, circle, features, get, names, position, to_degrees, to_units

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

# --- geometry ------------------------------------------------------------------------------------------------------

SQUARE = [[13.4, 52.5], [13.5, 52.5], [13.5, 52.6], [13.4, 52.6], [13.4, 52.5]]
HOLE = [[13.43, 52.53], [13.43, 52.57], [13.47, 52.57], [13.47, 52.53], [13.43, 52.53]]
SITE_AREA = {"type": "Polygon", "coordinates": [[[15, 55], [20, 55], [20, 60], [15, 55]]]}
ROUNDED = math.sqrt(0.5) + 1e-3  # to whole units
FLAT_UNITS = (
    1.6  # by which a place may be missed at zoom 10, where degrees are drawn without a projection; a pixel has 8
)
ISLAND = [[13.52, 52.5], [13.6, 52.5], [13.6, 52.6], [13.52, 52.5]]


@pytest.mark.parametrize(
    "geometry",
    [
        point(13.4, 52.5),
        {"type": "MultiPoint", "coordinates": [[13.4, 52.5], [13.5, 52.6]]},
        {"type": "LineString", "coordinates": [[13.4, 52.5], [13.45, 52.6], [13.5, 52.5]]},
        {"type": "MultiLineString", "coordinates": [SQUARE[:2], SQUARE[2:4]]},
        {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
        {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [ISLAND]]},
        circle(BERLIN, 2000, 2000, 700),
    ],
    ids=["point", "points", "line", "lines", "polygon", "polygons", "circle"],
)
def test_a_site_is_drawn_where_the_projection_puts_it(api: Api, geometry: dict[str, Any]) -> None:
    api.editor.create("/sites", site(geometry))
    zoom, x, y = BERLIN
    for place, flat in ((BERLIN, FLAT_UNITS), ((zoom - 1, x >> 1, y >> 1), 0)):
        (feature,) = features(api, place)
        assert feature["geometry"]["type"] == geometry["type"]
        drawn, expected = shape(feature["geometry"]), to_units(place, shape(geometry))
        assert drawn.hausdorff_distance(expected) <= ROUNDED + flat


@pytest.mark.parametrize("zoom", [9, 10, 11, 12, 16, 22])
@pytest.mark.parametrize("lat", [84.9, 52.5, 0, -33, -80])
def test_a_point_is_drawn_nearer_to_its_place_than_can_be_seen(api: Api, zoom: int, lat: float) -> None:
    column, row = position((zoom, 0, 0), 13.4, lat)
    place = (zoom, int(column // EXTENT), int(row // EXTENT))
    points = [to_degrees(place, across, down) for across in (0, 1777, 4095) for down in range(0, 4096, 585)]
    api.editor.create("/sites", site({"type": "MultiPoint", "coordinates": points}))
    (feature,) = features(api, place)
    drawn = shape(feature["geometry"])
    worst = max(shapely.Point(*position(place, *each)).distance(drawn) for each in points)
    assert worst <= ROUNDED + (0 if zoom < 10 else FLAT_UNITS / 2 ** (zoom - 10))


@pytest.mark.parametrize("zoom", [5, 8, 9, 10, 11, 14, 17])
@pytest.mark.parametrize("pieces", [1, 100])
def test_a_long_slanted_line_lies_where_its_points_are_joined_on_the_map(api: Api, zoom: int, pieces: int) -> None:
    west, south, width, height = 13.0, 52.0, 1.0, 1.0
    steps = [n / pieces for n in range(pieces + 1)]
    line = {"type": "LineString", "coordinates": [[west + width * at, south + height * at] for at in steps]}
    api.editor.create("/sites", site(line))
    middle = to_units((zoom, 0, 0), shape(line)).interpolate(0.5, normalized=True)
    place = (zoom, int(middle.x // EXTENT), int(middle.y // EXTENT))
    (feature,) = features(api, place)
    seen = to_units(place, shape(line)).intersection(shapely.box(-256, -256, EXTENT + 256, EXTENT + 256))
    drawn = shape(feature["geometry"])
    flat = FLAT_UNITS + 1 if zoom >= 10 and pieces > 1 else 0
    thinned = TOLERANCE if pieces > 1 else 0
    assert max(drawn.hausdorff_distance(seen), seen.hausdorff_distance(drawn)) <= 3 * ROUNDED + flat + thinned


def test_what_lies_across_an_edge_is_in_both_tiles_and_whole_within_their_buffers(api: Api) -> None:
    zoom, x, y = BERLIN
    across = circle(BERLIN, EXTENT, 2000, 1000)
    api.editor.create("/sites", site(across))
    for place in (BERLIN, (zoom, x + 1, y)):
        (feature,) = features(api, place)
        seen = to_units(place, shape(across)).intersection(shapely.box(-256, -256, EXTENT + 256, EXTENT + 256))
        assert shape(feature["geometry"]).hausdorff_distance(seen) <= 2 * ROUNDED + FLAT_UNITS
    assert features(api, (zoom, x + 2, y)) == []


@pytest.mark.parametrize(("distance", "drawn"), [(250, 4), (262, 0)])
def test_a_tile_has_what_lies_within_its_buffer(api: Api, distance: int, drawn: int) -> None:
    for column, row in ((-distance, 7), (EXTENT + distance, 7), (7, -distance), (7, EXTENT + distance)):
        api.editor.create("/sites", site(point(*to_degrees(BERLIN, column, row))))
    assert len(features(api)) == drawn


def test_what_reaches_a_pole_is_drawn_up_to_the_edge_of_the_map(api: Api) -> None:
    for sign, row in ((1, 0), (-1, 3)):
        cap = [[10, 80 * sign], [30, 80 * sign], [30, 90 * sign], [10, 90 * sign], [10, 80 * sign]]
        made = site({"type": "Polygon", "coordinates": [cap[::-sign]]}, name=str(sign))
        api.editor.create("/sites", made)
        (feature,) = features(api, (2, 2, row))
        edge = -256 if sign == 1 else EXTENT + 256
        west, south, east, north = shape(feature["geometry"]).bounds
        left, low = position((2, 2, row), 10, 80 * sign)
        right, _ = position((2, 2, row), 30, 80 * sign)
        assert (west, east) == pytest.approx((left, right), abs=1)
        assert {round(south), round(north)} == {edge, round(low)}


def test_the_poles_themselves_and_what_lies_beyond_the_map_are_on_no_tile(api: Api) -> None:
    for lat in (90, -90, 89.5, -88):
        api.editor.create("/sites", site(point(0, lat)))
    assert features(api, (0, 0, 0)) == []


def test_each_side_of_the_antimeridian_is_on_its_own_side_of_the_map(api: Api) -> None:
    api.editor.create("/sites", site(point(180, 1), name="east"))
    api.editor.create("/sites", site(point(-180, 1), name="west"))
    around = [[-180, -10], [180, -10], [180, -5], [-180, -5], [-180, -10]]
    api.editor.create("/sites", site({"type": "Polygon", "coordinates": [around]}, name="around"))
    assert names(api, (5, 0, 15)) == {"west"}
    assert names(api, (5, 31, 15)) == {"east"}
    assert names(api, (0, 0, 0)) == {"east", "west", "around"}
    assert names(api, (5, 7, 16)) == {"around"}


def test_a_site_smaller_than_a_pixel_is_a_point(api: Api) -> None:
    api.editor.create("/sites", site(circle(BERLIN, 2048, 2048, 100)))
    zoom, x, y = BERLIN
    assert features(api)[0]["geometry"]["type"] == "Polygon"
    above = (zoom - 6, x >> 6, y >> 6)
    (small,) = features(api, above)
    assert small["geometry"]["type"] == "Point"
    expected = to_units(above, shapely.Point(to_degrees(BERLIN, 2048, 2048)))
    assert shape(small["geometry"]).distance(expected) <= 1


@pytest.mark.parametrize(
    ("points", "radius", "drawn_points"), [(1000, 1500, (50, 110)), (25, 25, (8, 20)), (4, 25, (4, 5))]
)
def test_a_tile_has_the_points_that_can_be_seen(
    api: Api, points: int, radius: int, drawn_points: tuple[int, int]
) -> None:
    angles = [n * 2 * math.pi / points for n in range(points)]
    ring = [(2048 + radius * math.cos(angle), 2048 + radius * math.sin(angle)) for angle in angles]
    geometry = {"type": "Polygon", "coordinates": [[to_degrees(BERLIN, *each) for each in [*ring, ring[0]]]]}
    api.editor.create("/sites", site(geometry))
    (feature,) = features(api)
    drawn = shape(feature["geometry"])
    assert drawn.hausdorff_distance(to_units(BERLIN, shape(geometry))) <= TOLERANCE + 1  # the grid's rounding
    least, most = drawn_points
    assert least <= shapely.get_num_coordinates(drawn) <= most


def crowd(api: Api, *, place: str) -> None:
    """One site more than a tile may have, each at a place by its number n; the last has the least id."""
    with api.app.state.database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sites (id, owner_id, name, kind, properties, geom)"
                " SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(:count - n), 12, '0'))::uuid, :owner, 'n', 'k',"
                f" '{{}}', ST_SetSRID(ST_Point({place}), 4326) FROM generate_series(0, :count) n"
            ),
            {"owner": api.editor.id, "count": MAX_FEATURES},
        )


def test_a_tile_with_too_many_sites_has_the_largest(api: Api) -> None:
    crowd(api, place="n % 300 - 150, n % 140 - 70")
    api.editor.create("/sites", site(circle((0, 0, 0), 2048, 2048, 500), name="large"))
    api.editor.create("/sites", site(circle((0, 0, 0), 1000, 2048, 300), name="middle"))
    found = [feature["properties"]["name"] for feature in features(api, (0, 0, 0))]
    assert len(found) == MAX_FEATURES
    assert {"large", "middle"} <= set(found)


def test_a_deep_tile_of_too_many_has_the_same_ones_each_time(api: Api) -> None:
    crowd(api, place="13.4 + n * 1e-8, 52.5")
    ids = {feature["properties"]["id"] for feature in features(api, BERLIN)}
    assert (len(ids), max(ids)) == (MAX_FEATURES, f"00000000-0000-4000-8000-{MAX_FEATURES - 1:012x}")


# --- properties and filters ----------------------------------------------------------------------------------------


def test_a_feature_has_its_id_name_and_kind(api: Api) -> None:
    made = api.editor.create("/sites", site(name="Wörlitz 7"))
    (feature,) = features(api)
    assert feature["properties"] == {"id": made["id"], "name": "Wörlitz 7", "kind": "pump"}


def test_a_feature_has_the_properties_that_were_asked_for(api: Api) -> None:
    made = api.editor.create("/sites", site(external_id="P-7"))
    asked = ("external_id", "owner_id", "version", "created_at", "updated_at")
    (feature,) = features(api, properties=",".join(asked))
    expected = {name: made["properties"][name] for name in asked}
    assert feature["properties"] == {"id": made["id"], **expected}
    (feature,) = features(api, properties="")
    assert feature["properties"] == {"id": made["id"]}


def test_what_is_null_is_left_out(api: Api) -> None:
    made = api.editor.create("/sites", site())
    (feature,) = features(api, properties="external_id")
    assert feature["properties"] == {"id": made["id"]}


@pytest.mark.parametrize("asked", ["geom", "name,password", "name,,kind", "properties"])
def test_a_property_that_there_is_not_is_refused_with_those_that_there_are(api: Api, asked: str) -> None:
    answer = get(api.viewer, BERLIN, properties=asked)
    assert wrong_fields(answer) == [("query.properties", "property_unknown")]
    assert "id, name, kind, external_id, owner_id, version, created_at, updated_at" in answer.text


def test_sites_are_chosen_by_kind_and_owner(api: Api) -> None:
    api.editor.create("/sites", site(name="a", kind="pump"))
    api.editor.create("/sites", site(name="b", kind="well"))
    api.admin.create("/sites", site(name="c", kind="it's"))
    assert names(api) == {"a", "b", "c"}
    assert names(api, kind="well") == {"b"}
    assert names(api, kind=["well", "it's"]) == {"b", "c"}
    assert names(api, owner_id=api.editor.id) == {"a", "b"}
    assert names(api, owner_id=api.editor.id, kind="it's") == set()


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(0, 1, 0), (0, 0, 1), (3, 8, 0), (3, 0, 8)])
def test_a_tile_outside_of_its_zoom_is_not_found(api: Api, place: tuple[int, int, int]) -> None:
    answer = get(api.viewer, place, headers={"If-None-Match": "*"})
    assert problem_of(answer) == (404, "not-found")
    assert "/".join(map(str, place)) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("place", "part"), [((23, 0, 0), "z"), ((-1, 0, 0), "z"), ((3, -1, 0), "x"), ((3, 0, 2**22), "y")]
)
def test_a_tile_of_no_zoom_at_all_is_refused(api: Api, place: tuple[int, int, int], part: str) -> None:
    assert [where for where, _ in wrong_fields(get(api.viewer, place))] == [f"path.{part}"]


def test_the_deepest_zoom_has_tiles(api: Api) -> None:
    api.editor.create("/sites", site(point(0.00001, -0.00001)))
    (feature,) = features(api, (22, 2**21, 2**21))
    expected = to_units((22, 2**21, 2**21), shapely.Point(0.00001, -0.00001))
    assert shape(feature["geometry"]).distance(expected) <= 1


def test_tilejson_says_where_tiles_of_the_same_parameters_are(api: Api) -> None:
    described = api.viewer.read(f"{TILES}/tilejson.json", params={"properties": "version", "kind": ["a", "b"]})
    assert described["tilejson"] == "3.0.0"
    assert described["tiles"] == [f"{TILES}/{{z}}/{{x}}/{{y}}.mvt?properties=version&kind=a&kind=b"]
    assert (described["minzoom"], described["maxzoom"], described["attribution"]) == (0, 22, "")
    ((layer),) = described["vector_layers"]
    assert (layer["id"], set(layer["fields"])) == ("sites", {"id", "version"})


WORLD = [-180, -85.051129, 180, 85.051129]


def bounds(api: Api, **params: Any) -> list[float]:
    found: list[float] = api.viewer.read(f"{TILES}/tilejson.json", params=params)["bounds"]
    return found


def test_tilejson_says_where_the_sites_are(api: Api) -> None:
    assert bounds(api) == WORLD
    api.editor.create("/sites", site(point(13.4, 52.5)))
    assert bounds(api) == pytest.approx([13.4, 52.5, 13.4, 52.5], abs=1e-5)
    with api.app.state.database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE sites")  # they come from what is, and not from what statistics have seen
    api.editor.create("/sites", site(SITE_AREA))
    west, south, east, north = bounds(api)
    assert (west, south, east, north) == pytest.approx((13.4, 52.5, 20, 60), abs=1e-5)
    assert west <= 13.4
    assert south <= 52.5
    assert east >= 20
    assert north >= 60


def test_of_some_of_the_sites_tilejson_does_not_say_where_they_are(api: Api) -> None:
    api.editor.create("/sites", site())
    assert bounds(api, kind="pump") == WORLD
    assert bounds(api, owner_id=api.editor.id) == WORLD
    assert bounds(api, properties="version") != WORLD


def test_the_bounds_end_where_the_map_does(api: Api) -> None:
    api.editor.create("/sites", site(point(-180, 90)))
    assert bounds(api) == WORLD
    api.editor.create("/sites", site(point(180, -90)))
    assert bounds(api) == WORLD
    api.editor.create("/sites", site(point(0, 0)))
    assert bounds(api) == WORLD


@pytest.mark.parametrize("path", ["0/0/0.mvt", "tilejson.json"])
def test_tiles_are_for_those_who_are_logged_in(api: Api, path: str) -> None:
    assert problem_of(api.anonymous.get(f"{TILES}/{path}")) == (401, "invalid-token")


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM users WHERE id = :id", "UPDATE users SET password_hash = 'another' WHERE id = :id"],
    ids=["deleted", "another password"],
)
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_tile_is_for_those_whose_token_still_holds(api: Api, change: str, *, is_kept: bool) -> None:
    api.editor.create("/sites", site())
    leaver = api.user("viewer")
    assert get(leaver, BERLIN).status_code == 200
    with api.app.state.database.session() as session, session.begin():
        session.execute(text(change), {"id": leaver.id})
    if not is_kept:
        api.app.state.tiles = Tiles(TilesSettings())
    assert problem_of(get(leaver, BERLIN)) == (401, "invalid-token")
    assert get(api.viewer, BERLIN).status_code == 200
