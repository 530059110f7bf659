"""What may be stored as a geometry, and what is said about the rest."""

from __future__ import annotations

import math
import string
import time
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.errors import FieldProblem, GeometryInvalidError, RequestInvalidError
from app.services.geometry import MAX_POSITIONS, parse_bbox, parse_geometry, parse_near
from app.services.geometry_faults import TEMPLATES, Fault
from tests.support.counties import COUNTY_COUNT, counties

LOC = ("body", "geometry")
SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
INNER = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]
NAN, INF = math.nan, math.inf


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def line(*positions: Any) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": list(positions)}


def point(*numbers: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(numbers)}


def nested(depth: int) -> dict[str, Any]:
    innermost = point(1, 2) if depth == 1 else nested(depth - 1)
    return {"type": "GeometryCollection", "geometries": [innermost]}


def attempt(geojson: Any) -> bytes | tuple[FieldProblem, ...]:
    try:
        return parse_geometry(geojson, loc=LOC)
    except GeometryInvalidError as error:
        return error.errors


def problems(geojson: Any) -> tuple[FieldProblem, ...]:
    found = attempt(geojson)
    assert not isinstance(found, bytes)
    for problem in found:
        problem.message.format(**problem.params)  # a template that lacks a parameter raises
    return found


GOOD = {
    "point": (point(7, 50.5), "POINT (7 50.5)"),
    "edges of the world": (line([-180, -90], [0, 0], [180, 90]), "LINESTRING (-180 -90, 0 0, 180 90)"),
    "points": ({"type": "MultiPoint", "coordinates": [[1, 2], [1, 2]]}, "MULTIPOINT ((1 2), (1 2))"),
    "line that crosses itself": (
        line([0, 0], [2, 2], [2, 0], [0, 2]),
        "LINESTRING (0 0, 2 2, 2 0, 0 2)",
    ),
    "lines": (
        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]},
        "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
    ),
    "polygon with a hole": (
        polygon(SQUARE, INNER),
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))",
    ),
    "polygons that touch at a position": (
        {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[4, 4], [5, 4], [5, 5], [4, 4]]]]},
        "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)), ((4 4, 5 4, 5 5, 4 4)))",
    ),
    "collection in a collection": (nested(2), "GEOMETRYCOLLECTION (GEOMETRYCOLLECTION (POINT (1 2)))"),
    "bbox and other members": (point(1, 2) | {"bbox": [0], "note": "x"}, "POINT (1 2)"),
    "tuples": ({"type": "Point", "coordinates": (1, 2)}, "POINT (1 2)"),
}


@pytest.mark.parametrize(("geojson", "wkt"), GOOD.values(), ids=GOOD)
def test_a_valid_geometry_is_kept_as_it_is(geojson: dict[str, Any], wkt: str) -> None:
    assert shapely.from_wkb(parse_geometry(geojson, loc=LOC)).wkt == wkt


def test_the_answer_is_little_endian_iso_wkb_without_srid() -> None:
    assert parse_geometry(point(1, 2), loc=LOC).hex() == "0101000000000000000000f03f0000000000000040"


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_coordinates_keep_every_bit(lon: float, lat: float) -> None:
    stored = shapely.from_wkb(parse_geometry(line([lon, lat], [0, 0.5]), loc=LOC))

    assert shapely.get_coordinates(stored)[0].tolist() == [lon, lat]


def test_rings_of_either_direction_are_stored_by_the_right_hand_rule() -> None:
    clockwise = parse_geometry(polygon(SQUARE[::-1], INNER[::-1]), loc=LOC)

    assert clockwise == parse_geometry(polygon(SQUARE, INNER), loc=LOC)
    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.from_wkb(clockwise)))


def test_members_of_a_collection_are_oriented_too() -> None:
    stored = parse_geometry({"type": "GeometryCollection", "geometries": [polygon(SQUARE[::-1])]}, loc=LOC)

    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(shapely.from_wkb(stored))[0]))


BAD: dict[str, tuple[Any, Fault, tuple[str | int, ...]]] = {
    "null": (None, Fault.NOT_AN_OBJECT, ()),
    "crs": (point(1, 2) | {"crs": {"type": "name"}}, Fault.CRS_GIVEN, ("crs",)),
    "no type": ({"coordinates": [1, 2]}, Fault.TYPE_UNKNOWN, ("type",)),
    "a feature": ({"type": "Feature", "geometry": point(1, 2)}, Fault.TYPE_UNKNOWN, ("type",)),
    "a type that is a list": ({"type": ["Point"]}, Fault.TYPE_UNKNOWN, ("type",)),
    "no coordinates": ({"type": "Point"}, Fault.MEMBER_MISSING, ()),
    "no geometries": ({"type": "GeometryCollection"}, Fault.MEMBER_MISSING, ()),
    "coordinates in a string": ({"type": "Point", "coordinates": "1,2"}, Fault.NOT_AN_ARRAY, ("coordinates",)),
    "a ring too few brackets": (polygon([0, 0]), Fault.NOT_AN_ARRAY, ("coordinates", 0, 0)),
    "a bracket too many": (point([1, 2]), Fault.NOT_A_NUMBER, ("coordinates",)),
    "empty point": (point(), Fault.EMPTY, ("coordinates",)),
    "empty polygon": (polygon(), Fault.EMPTY, ("coordinates",)),
    "empty ring": (polygon(SQUARE, []), Fault.EMPTY, ("coordinates", 1)),
    "empty position": (line([0, 0], []), Fault.EMPTY, ("coordinates", 1)),
    "empty collection": ({"type": "GeometryCollection", "geometries": []}, Fault.EMPTY, ("geometries",)),
    "string": (line([0, 0], ["1", 1]), Fault.NOT_A_NUMBER, ("coordinates", 1)),
    "true": (line([0, 0], [True, 1]), Fault.NOT_A_NUMBER, ("coordinates", 1)),
    "null coordinate": (point(1, None), Fault.NOT_A_NUMBER, ("coordinates",)),
    "NaN": (line([0, 0], [1, NAN]), Fault.NOT_FINITE, ("coordinates", 1)),
    "Infinity": (point(-INF, 0), Fault.NOT_FINITE, ("coordinates",)),
    "an integer beyond any double": (line([0, 0], [10**400, 0]), Fault.NOT_FINITE, ("coordinates", 1)),
    "one number": (point(1), Fault.POSITION_SHORT, ("coordinates",)),
    "altitude": (point(1, 2, 3), Fault.POSITION_NOT_2D, ("coordinates",)),
    "altitude on one of many": (polygon([*SQUARE[:-1], [0, 0, 9]]), Fault.POSITION_NOT_2D, ("coordinates", 0, 4)),
    "metres of a projection": (point(1_500_000, 6_900_000), Fault.OUT_OF_RANGE, ("coordinates",)),
    "latitude first": (line([0, 0], [48.1, 111.5]), Fault.SWAPPED, ("coordinates", 1)),
    "beyond the antimeridian": (line([179, 0], [181, 0]), Fault.BEYOND_ANTIMERIDIAN, ("coordinates", 1)),
    "line of one position": (line([1, 1]), Fault.LINE_SHORT, ("coordinates",)),
    "line of equal positions": (line([1, 1], [1, 1]), Fault.LINE_WITHOUT_LENGTH, ("coordinates", 1)),
    "half around the equator": (line([0, 0], [1, 0], [-179, 0]), Fault.ANTIPODAL, ("coordinates", 2)),
    "through the Earth": (
        polygon([[10, 20], [-170, -20], [100, 80], [10, 20]]),
        Fault.ANTIPODAL,
        ("coordinates", 0, 1),
    ),
    "from pole to pole": (line([7, 90], [52, -90]), Fault.ANTIPODAL, ("coordinates", 1)),
    "ring of three": (polygon([[0, 0], [1, 1], [0, 0]]), Fault.RING_SHORT, ("coordinates", 0)),
    "unclosed": (polygon(SQUARE[:-1]), Fault.RING_UNCLOSED, ("coordinates", 0, 3)),
    "unclosed hole": (polygon(SQUARE, INNER[:-1]), Fault.RING_UNCLOSED, ("coordinates", 1, 3)),
    "on one line": (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), Fault.RING_WITHOUT_AREA, ("coordinates", 0)),
    "at one place": (polygon([[1, 1]] * 4), Fault.RING_WITHOUT_AREA, ("coordinates", 0)),
    "the same hole turned": (
        polygon(SQUARE, INNER, INNER[1:] + INNER[1:2]),
        Fault.RING_DUPLICATE,
        ("coordinates", 2),
    ),
    "the same polygon": (
        {"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE[::-1]]]},
        Fault.RING_DUPLICATE,
        ("coordinates", 1, 0),
    ),
    "bow tie": (polygon([[0, 0], [1, 0], [3, 2], [3, 0], [1, 2], [0, 0]]), Fault.SELF_CROSSING, ("coordinates", 0, 1)),
    "spike": (
        polygon([[0, 0], [4, 0], [4, 4], [2, 4], [2, 6], [2, 4], [0, 4], [0, 0]]),
        Fault.SELF_CROSSING,
        ("coordinates", 0, 4),
    ),
    "overlapping polygons": (
        {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[3, 1], [6, 1], [6, 2], [3, 1]]]]},
        Fault.SELF_CROSSING,
        ("coordinates", 0, 0, 1),
    ),
    "ring that touches itself": (
        polygon([[0, 0], [4, 0], [2, 2], [4, 4], [0, 4], [2, 2], [0, 0]]),
        Fault.RING_TOUCHES_ITSELF,
        ("coordinates", 0, 2),
    ),
    "hole outside": (polygon(SQUARE, [[5, 5], [5, 6], [6, 6], [5, 5]]), Fault.HOLE_OUTSIDE, ("coordinates", 1, 0)),
    "hole in a hole": (
        polygon(SQUARE, [[1, 1], [1, 3], [3, 3], [3, 1], [1, 1]], [[1.5, 1.5], [1.5, 2], [2, 2], [1.5, 1.5]]),
        Fault.HOLES_NESTED,
        ("coordinates", 2, 0),
    ),
    "polygon in a polygon": (
        {"type": "MultiPolygon", "coordinates": [[SQUARE], [INNER]]},
        Fault.POLYGONS_NESTED,
        ("coordinates", 1, 0, 0),
    ),
    "hole from edge to edge": (
        polygon(SQUARE, [[0, 0], [4, 4], [2, 3], [0, 0]]),
        Fault.INTERIOR_DISCONNECTED,
        ("coordinates", 0, 2),
    ),
    "collections five deep": (nested(5), Fault.TOO_DEEP, ("geometries", 0) * 4),
    "member of a collection": (
        {"type": "GeometryCollection", "geometries": [point(1, 2), point(1)]},
        Fault.POSITION_SHORT,
        ("geometries", 1, "coordinates"),
    ),
    "more positions than are taken": (
        {"type": "MultiPoint", "coordinates": [[0, 0]] * (MAX_POSITIONS + 1)},
        Fault.TOO_MANY_POSITIONS,
        (),
    ),
    "more positions in parts": (
        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]] * (MAX_POSITIONS // 2 + 1)},
        Fault.TOO_MANY_POSITIONS,
        (),
    ),
}


@pytest.mark.parametrize(("geojson", "fault", "path"), BAD.values(), ids=BAD)
def test_an_invalid_geometry_is_refused_with_reason_and_path(
    geojson: Any, fault: Fault, path: tuple[str | int, ...]
) -> None:
    found = problems(geojson)

    assert [(p.type, p.loc, p.message) for p in found] == [(fault.name.lower(), (*LOC, *path), fault.value)]


def test_every_fault_of_a_geometry_but_the_last_resort_has_an_example() -> None:
    about_geometries = {fault for fault in Fault if not fault.name.startswith(("BBOX", "NEAR"))}

    assert about_geometries - {fault for _, fault, _ in BAD.values()} == {Fault.INVALID}


def test_a_crossing_is_told_by_longitude_and_latitude() -> None:
    (problem,) = problems(polygon([[0, 0], [1, 0], [3, 2], [3, 0], [1, 2], [0, 0]]))

    assert problem.params == {"lon": 2, "lat": 1}
    assert problem.message.format(**problem.params).endswith("at 2.0, 1.0.")


def test_each_broken_part_is_told() -> None:
    found = problems({"type": "MultiPolygon", "coordinates": [[SQUARE[:-1]], [SQUARE], [SQUARE, [[1, 91]]]]})

    assert [(p.type, p.loc[2:]) for p in found] == [
        ("ring_unclosed", ("coordinates", 0, 0, 3)),
        ("swapped", ("coordinates", 2, 1, 0)),
    ]


def test_at_most_twenty_problems_are_told() -> None:
    assert len(problems({"type": "MultiLineString", "coordinates": [[[0, 0]]] * 50})) == 20


def test_a_made_up_type_is_not_echoed_at_length() -> None:
    (problem,) = problems({"type": "x" * 10_000})

    assert len(problem.message.format(**problem.params)) < 200


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda children: st.lists(children, max_size=5),
    max_leaves=20,
)
kinds = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"]


@limits(max_examples=500, deadline=None)
@given(kind=st.sampled_from(kinds), value=json_values)
def test_whatever_json_comes_is_stored_or_refused(kind: str, value: Any) -> None:
    member = "geometries" if kind == "GeometryCollection" else "coordinates"

    outcome = attempt({"type": kind, member: value})

    assert shapely.from_wkb(outcome).is_valid if isinstance(outcome, bytes) else outcome


grid = st.tuples(st.integers(0, 4), st.integers(0, 4))


@limits(max_examples=500, deadline=None)
@given(rings=st.lists(st.lists(grid, min_size=3, max_size=7), min_size=1, max_size=3))
def test_any_rings_are_stored_exactly_if_they_are_a_valid_polygon(rings: list[list[tuple[int, int]]]) -> None:
    closed = [[*ring, ring[0]] for ring in rings]
    stored = isinstance(attempt(polygon(*closed)), bytes)

    assert stored == shapely.is_valid(shapely.Polygon(closed[0], closed[1:]))


def test_of_the_real_counties_all_but_the_broken_ones_are_stored() -> None:
    outcomes = [attempt(county.geometry) for county in counties()]
    refused = Counter(outcome[0].type for outcome in outcomes if not isinstance(outcome, bytes))

    assert len(outcomes) == COUNTY_COUNT
    assert refused == {"ring_short": 19, "self_crossing": 15, "ring_touches_itself": 6}


def test_a_thousand_counties_take_less_than_a_second() -> None:
    shapes = [county.geometry for county in islice(counties(), 1_000)]
    started = time.perf_counter()
    for geometry in shapes:
        attempt(geometry)

    assert time.perf_counter() - started < 1


def test_the_largest_polygon_takes_less_than_a_second() -> None:
    angles = np.linspace(0, 2 * np.pi, MAX_POSITIONS)
    ring = np.stack([60 * np.cos(angles), 60 * np.sin(angles)], axis=1).tolist()
    ring[-1] = ring[0]
    started = time.perf_counter()
    parse_geometry(polygon(ring), loc=LOC)

    assert time.perf_counter() - started < 1


def query_problem(parse: Any, text: str) -> FieldProblem:
    with pytest.raises(RequestInvalidError) as caught:
        parse(text)
    (problem,) = caught.value.errors
    assert problem.message.format(**problem.params)
    return problem


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("-10,20,30.5,40", [(-10, 20, 30.5, 40)]),
        (" -180, -90, 180, 90 ", [(-180, -90, 180, 90)]),
        ("1e1,-.5,+20.,5", [(10, -0.5, 20, 5)]),
        ("170,-20,-170,20", [(170, -20, 180, 20), (-180, -20, -170, 20)]),
        ("170,-20,-180,20", [(170, -20, 180, 20)]),
        ("180,-20,-170,20", [(-180, -20, -170, 20)]),
    ],
)
def test_bbox_is_one_box_or_two_across_the_antimeridian(text: str, boxes: list[tuple[float, ...]]) -> None:
    assert parse_bbox(text) == boxes


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.BBOX_FORM),
        ("1,2,3", Fault.BBOX_FORM),
        ("1,2,3,4,5,6", Fault.BBOX_FORM),
        ("1,2,3,x", Fault.BBOX_FORM),
        ("1,2,3,", Fault.BBOX_FORM),
        ("1,2,3,nan", Fault.BBOX_FORM),
        ("1,2,3,inf", Fault.BBOX_FORM),
        ("1,2,1_0,4", Fault.BBOX_FORM),
        ("1,2,٣,4", Fault.BBOX_FORM),
        ("-181,0,1,1", Fault.BBOX_RANGE),
        ("0,0,1,1e999", Fault.BBOX_RANGE),
        ("0,10,1,5", Fault.BBOX_UPSIDE_DOWN),
        ("1,1,1,2", Fault.BBOX_WITHOUT_AREA),
        ("1,1,2,1", Fault.BBOX_WITHOUT_AREA),
        ("180,0,-180,1", Fault.BBOX_WITHOUT_AREA),
    ],
)
def test_a_bad_bbox_is_refused_with_the_reason(text: str, fault: Fault) -> None:
    problem = query_problem(parse_bbox, text)

    assert (problem.loc, problem.type) == (("query", "bbox"), fault.name.lower())


@pytest.mark.parametrize(
    ("text", "near"), [("13.4,52.5,1000", (13.4, 52.5, 1000)), ("-180,90,20037508", (-180, 90, 20_037_508))]
)
def test_near_is_a_centre_and_a_radius_in_metres(text: str, near: tuple[float, ...]) -> None:
    assert parse_near(text) == near


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("13.4,52.5", Fault.NEAR_FORM),
        ("13.4,52.5,1km", Fault.NEAR_FORM),
        ("52.5,113.4,1000", Fault.NEAR_RANGE),
        ("13.4,52.5,0", Fault.NEAR_DISTANCE),
        ("13.4,52.5,-5", Fault.NEAR_DISTANCE),
        ("13.4,52.5,20037509", Fault.NEAR_DISTANCE),
        ("13.4,52.5,1e999", Fault.NEAR_DISTANCE),
    ],
)
def test_a_bad_near_is_refused_with_the_reason(text: str, fault: Fault) -> None:
    problem = query_problem(parse_near, text)

    assert (problem.loc, problem.type) == (("query", "near"), fault.name.lower())


def test_templates_are_the_texts_that_need_translations() -> None:
    assert len(set(TEMPLATES)) == len(Fault)
    assert all(name for text in TEMPLATES for _, name, _, _ in string.Formatter().parse(text) if name is not None)
