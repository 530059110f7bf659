"""CQL2 by its conformance classes: which sites a filter finds, alike in both languages and on both databases."""

from __future__ import annotations

import json
import re
from typing import Any

import cql2
import pytest
from sqlalchemy.orm import Session

from app.errors import FilterInvalidError, NotOnSqliteError
from app.schemas.crs import WEB_MERCATOR
from app.services.cql2 import CONFORMANCE, QUERYABLES, compile_filter
from tests.support.filters import ALL, found, is_sqlite

PREFIX = "http://www.opengis.net/spec/cql2/1.0/conf/"

# All spatial functions but s_intersects of the property and a BBOX.
NEEDS_POSTGIS = re.compile(r"S_(?!INTERSECTS\((geometry, BBOX\(|BBOX\([^)]*\), geometry))", re.IGNORECASE)


COMPARISONS = [
    ("kind = 'pump'", {1, 5}),
    ("kind <> 'pump'", {2, 3, 4}),
    ("version < 2", {1}),
    ("version <= 2", {1, 2}),
    ("version > 4.5", {5}),
    ("version >= .5e1", {5}),
    ("version <> -1", ALL),
    ("\"kind\" = 'well'", {2}),
    ("name = 'pump 7'", set()),
    ("id = '00000000-0000-0000-0000-000000000003'", {3}),
    ("id <> '00000000-0000-0000-0000-000000000003'", {1, 2, 4, 5}),
    ("id > '00000000-0000-0000-0000-000000000003'", {4, 5}),
    ("id = 'foo'", set()),
    ("owner_id = '00000000-0000-0000-0000-000000000ABC'", ALL),
    ("created_at = TIMESTAMP('2026-03-01T12:00:00Z')", {3, 4}),
    ("created_at >= TIMESTAMP('2026-03-01T12:00:00.000000Z')", {3, 4, 5}),
    ("created_at = DATE('2026-03-01')", {3, 4}),
    ("created_at <> DATE('2026-03-01')", {1, 2, 5}),
    ("created_at < DATE('2026-03-01')", {1, 2}),
    ("created_at <= DATE('2026-03-01')", {1, 2, 3, 4}),
    ("created_at > DATE('2026-03-01')", {5}),
    ("created_at >= DATE('2026-12-31')", {5}),
    ("external_id IS NULL", {2}),
    ("external_id is not null", {1, 3, 4, 5}),
    ("geometry IS NULL", set()),
    ("true", ALL),
    ("FALSE", set()),
    ("kind = 'pump' OR kind = 'well' AND version > 2", {1, 5}),
    ("(kind = 'pump' OR kind = 'well') AND version > 2", {5}),
    ("NOT kind = 'pump' AND NOT version = 2", {3, 4}),
]
NULLS = [
    # 21-065, table 1: a comparison with NULL is NULL, its NOT is NULL, and only what is TRUE is found.
    ("external_id = 'P-7'", {1}),
    ("NOT (external_id = 'P-7')", {3, 4, 5}),
    ("external_id <> 'P-7'", {3, 4, 5}),
    ("NOT (external_id IN ('P-7'))", {3, 4, 5}),
    ("NOT (external_id LIKE 'P%')", {3, 4, 5}),
    ("NOT (external_id = 'P-7' AND version = 2)", {1, 3, 4, 5}),
    ("external_id = 'P-7' OR version = 2", {1, 2}),
    ("(external_id = 'P-7') IS NULL", {2}),
]
ADVANCED = [
    ("name LIKE 'P%'", {1}),
    ("name LIKE 'p%'", set()),
    ("name LIKE 'Pump__'", {1}),
    ("name LIKE '%a_b%'", {4}),
    ("name LIKE '50\\% %'", {4}),
    ("name LIKE '%a\\_b%'", {4}),
    ("name LIKE 'Pump\\_7'", set()),
    ("name LIKE 'Stra_e'", {3}),
    ("name NOT LIKE '%a%'", {1, 2, 5}),
    ("id LIKE '%0003'", {3}),
    ("version BETWEEN 2 AND 4", {2, 3, 4}),
    ("version NOT BETWEEN 2 AND 4", {1, 5}),
    ("created_at BETWEEN DATE('2026-02-01') AND DATE('2026-03-01')", {2, 3, 4}),
    ("kind IN ('pump', 'valve')", {1, 4, 5}),
    ("kind NOT IN ('pump', 'valve')", {2, 3}),
    ("version IN (1, 2.0, 7)", {1, 2}),
    ("id IN ('00000000-0000-0000-0000-000000000003', 'foo')", {3}),
    ("created_at IN (DATE('2026-03-01'), TIMESTAMP('2026-01-01T00:00:00Z'))", {1, 3, 4}),
]
CASES = [
    ("CASEI(kind) = CASEI('WELL')", {2, 3}),
    ("casei(name) = casei('strasse')", {2, 3}),
    ("casei(name) LIKE casei('STRA%')", {2, 3}),
    ("casei(name) LIKE casei('%A\\_B%')", {4}),
    ("casei(name) IN (casei('PUMP 7'), casei('x'))", {1}),
    ("casei(external_id) = casei('P-7')", {1}),
    ("NOT casei(external_id) = casei('P-7')", {3, 4, 5}),
    ("casei(kind) = 'PUMP' OR casei(kind) = 'pump'", {1, 5}),
]
BASIC_SPATIAL = [
    ("S_INTERSECTS(geometry, BBOX(13,52,14,53))", {1}),
    ("s_intersects(geometry, BBOX(13,52,-100,14,53,100))", {1}),
    ("S_INTERSECTS(geometry, BBOX(170,-20,-170,-5))", {4}),
    ("NOT S_INTERSECTS(geometry, BBOX(-10,-10,30,30))", {1, 4}),
    ("S_INTERSECTS(geometry, POINT(1 1))", {2}),
    ("S_INTERSECTS(geometry, POINT(21.5 1.5))", {5}),
    ("S_INTERSECTS(geometry, POINT Z(1 1 7))", {2}),
]
PLUS_SPATIAL = [
    ("S_INTERSECTS(geometry, MULTIPOINT(1 1, 13.4 52.5))", {1, 2}),
    ("S_INTERSECTS(geometry, MULTIPOINT((1 1), (1.34e1 5.25e1)))", {1, 2}),
    ("S_INTERSECTS(geometry, LINESTRING(-1 3, 10 3))", {2, 3}),
    ("S_INTERSECTS(geometry, LINESTRING Z(-1 3 0, 10 3 0))", {2, 3}),
    ("S_INTERSECTS(geometry, MULTILINESTRING((0 5, 10 5), (20 -1, 20 1)))", {3, 5}),
    ("S_INTERSECTS(geometry, POLYGON((-1 -1,9 -1,9 9,-1 9,-1 -1),(1 1,8 1,8 8,1 8,1 1)))", {2}),
    ("S_INTERSECTS(geometry, MULTIPOLYGON(((5 5,9 5,9 9,5 9,5 5)),((20 0,21 0,21 1,20 1,20 0))))", {3, 5}),
    ("S_INTERSECTS(geometry, GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(13 52.5, 14 52.5)))", {1, 2}),
]
SPATIAL = [
    ("S_DISJOINT(geometry, POLYGON((-1 -1,30 -1,30 30,-1 30,-1 -1)))", {1, 4}),
    ("S_DISJOINT(geometry, BBOX(-1,-1,30,30))", {1, 4}),
    ("S_EQUALS(geometry, POLYGON((4 4,0 4,0 0,4 0,4 4)))", {2}),
    ("S_EQUALS(geometry, BBOX(0,0,4,4))", {2}),
    ("S_TOUCHES(geometry, POINT(4 2))", {2}),
    ("S_TOUCHES(geometry, BBOX(4,0,5,4))", {2, 3}),
    ("S_WITHIN(geometry, BBOX(0,0,30,30))", {2, 3, 5}),
    ("S_WITHIN(geometry, BBOX(170,-20,-170,-5))", {4}),
    ("S_CONTAINS(geometry, BBOX(1,1,2,2))", {2}),
    ("S_CONTAINS(geometry, LINESTRING(20.5 0.5, 22.5 2.5))", {5}),
    ("S_CROSSES(geometry, POLYGON((0 0,4 0,4 4,0 4,0 0)))", {3}),
    ("S_CROSSES(geometry, LINESTRING(2 4, 4 2))", {3}),
    ("S_OVERLAPS(geometry, BBOX(3,1,21.5,21))", {2, 5}),
]
# Of the interval from created_at to updated_at, unless one of them is named.
TEMPORAL = [
    ("t_after(created_at, TIMESTAMP('2026-03-01T12:00:00Z'))", {5}),
    ("t_before(created_at, DATE('2026-02-01'))", {1}),
    ("t_disjoint(created_at, DATE('2026-03-01'))", {1, 2, 5}),
    ("t_equals(created_at, TIMESTAMP('2026-03-01T12:00:00Z'))", {3, 4}),
    ("t_intersects(created_at, INTERVAL('2026-02-01','2026-03-01'))", {2, 3, 4}),
    ("t_intersects(created_at, INTERVAL('..','2026-02-01T08:00:00Z'))", {1, 2}),
    ("t_intersects(created_at, INTERVAL('2026-12-31','..'))", {5}),
    ("t_after(IT, INTERVAL('..','2026-02-28'))", {3, 4, 5}),
    ("t_before(IT, INTERVAL('2026-02-01','2026-02-02'))", {1}),
    ("t_intersects(IT, DATE('2026-03-10'))", {3, 4}),
    ("t_contains(IT, INTERVAL('2026-03-02','2026-03-04'))", {3, 4}),
    ("t_during(IT, INTERVAL('2026-02-01','2026-03-31'))", {2, 3}),
    ("t_equals(IT, INTERVAL('2026-03-01T12:00:00Z','2026-03-15T00:00:00Z'))", {3}),
    ("t_starts(IT, INTERVAL('2026-03-01T12:00:00Z','2026-12-31'))", {3}),
    ("t_startedby(IT, INTERVAL('2026-03-01T12:00:00Z','2026-12-31'))", {4}),
    ("t_finishes(IT, INTERVAL('2026-02-01T00:00:00Z','2027-01-01T00:00:00Z'))", {4}),
    ("t_finishedby(IT, INTERVAL('2026-03-02T00:00:00Z','2027-01-01T00:00:00Z'))", {4}),
    ("t_meets(IT, INTERVAL('2026-03-15T00:00:00Z','2026-04-01T00:00:00Z'))", {3}),
    ("t_metby(IT, INTERVAL('2026-01-15T00:00:00Z','2026-03-01T12:00:00Z'))", {3, 4}),
    ("t_overlaps(IT, INTERVAL('2026-03-10','2026-04-01'))", {3}),
    ("t_overlappedby(IT, INTERVAL('2026-02-20','2026-03-10'))", {3, 4}),
]
PROPERTIES = [
    ("name = external_id", {3, 5}),
    ("'pump' = kind", {1, 5}),
    ("2 >= version", {1, 2}),
    ("TIMESTAMP('2026-03-01T12:00:00Z') < created_at", {5}),
    ("DATE('2026-03-01') = created_at", {3, 4}),
    ("created_at = updated_at", {2}),
    ("created_at < updated_at", {1, 3, 4, 5}),
    ("id = owner_id", set()),
    ("id = name", set()),
    ("'foo' = 'foo'", ALL),
    ("'foo' < 'foo'", set()),
    ("3.14 >= 3.14", ALL),
    ("true = true", ALL),
    ("true <> true", set()),
    ("TIMESTAMP('2022-04-14T14:48:46Z') = TIMESTAMP('2022-04-14T14:48:46Z')", ALL),
    ("DATE('2022-04-14') < DATE('2022-04-14')", set()),
    ("'foo' IS NULL", set()),
    ("DATE('2022-04-14') IS NOT NULL", ALL),
    ("'København' LIKE 'K_benhavn'", ALL),
    ("'pump' IN (kind, 'x')", {1, 5}),
    ("3 BETWEEN 2 AND version", {3, 4, 5}),
    ("S_INTERSECTS(BBOX(13,52,14,53), geometry)", {1}),
    ("t_after(DATE('2026-03-02'), created_at)", {1, 2, 3, 4}),
    ("t_contains(INTERVAL('2026-02-01','2026-03-31'), IT)", {2, 3}),
]
GEOMETRY_PROPERTIES = [
    ("S_INTERSECTS(POINT(1 1), geometry)", {2}),
    ("S_CONTAINS(BBOX(0,0,30,30), geometry)", {2, 3, 5}),
    ("S_INTERSECTS(geometry, geometry)", ALL),
    ("S_WITHIN(POINT(1 1), BBOX(0,0,2,2))", ALL),
    ("POINT(1 1) IS NULL", set()),
]
CLASSES = {
    "basic-cql2": COMPARISONS + NULLS,
    "advanced-comparison-operators": ADVANCED,
    "case-insensitive-comparison": CASES,
    "basic-spatial-functions": BASIC_SPATIAL,
    "basic-spatial-functions-plus": PLUS_SPATIAL,
    "spatial-functions": SPATIAL,
    "temporal-functions": TEMPORAL,
    "property-property": PROPERTIES + GEOMETRY_PROPERTIES,
}


def examples(text: str) -> str:
    return text.replace("IT", "INTERVAL(created_at,updated_at)") if text.startswith("t_") else text


@pytest.mark.parametrize(
    ("text", "expected"),
    [pytest.param(*case, id=case[0]) for cases in CLASSES.values() for case in cases],
)
def test_a_filter_finds_the_same_in_both_languages(session: Session, text: str, expected: set[int]) -> None:
    text = examples(text)
    as_json = json.dumps(json_of(text))
    if is_sqlite(session) and NEEDS_POSTGIS.search(text):
        with pytest.raises(NotOnSqliteError):
            found(session, text)
        return
    assert found(session, text) == expected
    assert found(session, as_json, lang="cql2-json") == expected
    if "S_" in text:  # which is never NULL here
        assert found(session, f"NOT {text}") == ALL - expected


def json_of(text: str) -> Any:
    return cql2.parse_text(text.replace("1.34e1 5.25e1", "13.4 52.5").replace(".5e1", "5")).to_json()


def test_what_is_declared_is_what_is_tested() -> None:
    assert set(CONFORMANCE) == {PREFIX + name for name in (*CLASSES, "cql2-text", "cql2-json")}


@pytest.mark.parametrize("name", QUERYABLES)
def test_every_queryable_compares_with_a_value_of_its_type(session: Session, name: str) -> None:
    schema = QUERYABLES[name].schema
    if "geometry" in name:
        assert found(session, f"s_intersects({name}, BBOX(-180,-90,180,90))") == ALL
        return
    value = {"integer": "1", "date-time": "TIMESTAMP('2022-04-14T14:48:46Z')"}.get(
        schema["type"] if schema["type"] == "integer" else schema.get("format", ""), "'foo'"
    )
    equal, other, less, more = (found(session, f"{name} {op} {value}") for op in ("=", "<>", "<", ">="))
    assert not equal & other
    assert not less & more
    assert found(session, f"{name} IS NULL") ^ found(session, f"{name} IS NOT NULL") == ALL


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s\\n'", "it's\n"),
        (r"'it\'s\n'", "it's\n"),
        (r"'\a\b\t\n\v\f\r'", "\a\b\t\n\v\f\r"),
        (r"'C:\\new'", r"C:\new"),
        (r"'\x'", r"\x"),
        ("''", ""),
        ("'Straße 🚰'", "Straße 🚰"),
        ("'(('", "(("),
        ("'-- x; DROP TABLE sites'", "-- x; DROP TABLE sites"),
    ],
)
def test_a_text_is_what_its_escapes_say(session: Session, text: str, value: str) -> None:
    as_json = json.dumps({"op": "=", "args": [value, value]})
    assert found(session, f"{text} = {text}") == found(session, as_json, lang="cql2-json") == ALL
    condition = compile_filter(f"name = {text}", lang="cql2-text")
    assert list(condition.compile().params.values()) == [value]


def test_a_text_with_a_quote_and_a_newline_finds_the_site_that_has_them(session: Session) -> None:
    assert found(session, r"external_id = 'it\'s\n'") == {4}
    assert found(session, r"name LIKE '%b\\\\c'") == {4}


def test_casei_is_unicodes_full_case_folding(session: Session) -> None:
    """Every character that folds, beside what it folds to; in portions, since a filter has 8 000 characters."""
    folding = [c for c in map(chr, range(1, 0x1FFFF)) if c.casefold() != c and not "\ud800" <= c <= "\udfff"]
    assert len(folding) > 1000
    for start in range(0, len(folding), 400):
        portion = "".join(folding[start : start + 400])
        assert found(session, f"casei('{portion}') = casei('{portion.casefold()}')") == ALL
    assert found(session, "casei('\u0131') = casei('i')") == set()


def test_a_filters_edge_may_go_half_around_the_world(session: Session) -> None:
    """It is planar, and nothing that is stored."""
    text = "s_intersects(geometry, POLYGON((-180 -90, 180 -90, 180 90, -180 90, -180 -90)))"
    if is_sqlite(session):
        with pytest.raises(NotOnSqliteError):
            found(session, text)
    else:
        assert found(session, text) == ALL


def test_geometries_may_be_in_another_system(session: Session) -> None:
    text = "s_intersects(geometry, BBOX(1480000,6880000,1500000,6900000))"
    if is_sqlite(session):
        with pytest.raises(NotOnSqliteError):
            found(session, text, crs=WEB_MERCATOR)
        return
    assert found(session, text, crs=WEB_MERCATOR) == {1}
    for box in ("19000000,0,-19000000,1000000", "0,1000000,1000000,0"):
        with pytest.raises(FilterInvalidError):
            found(session, f"s_intersects(geometry, BBOX({box}))", crs=WEB_MERCATOR)
    assert found(session, "s_intersects(geometry, POINT(111319.49 111325.14))", crs=WEB_MERCATOR) == {2}
