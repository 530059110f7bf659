"""Filters that are wrong, or meant to hurt: each is refused with what is wrong and where, and none gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.errors import FilterInvalidError, NotOnSqliteError
from app.services.cql2 import FilterLang, compile_filter
from tests.support.filters import ALL, found

many = limits(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def refusal(text: str, lang: FilterLang = "cql2-text") -> tuple[str, str, str]:
    """What is wrong, where, and the words."""
    with pytest.raises(FilterInvalidError) as refused:
        compile_filter(text, lang=lang)
    problem = refused.value.errors[0]
    assert problem.loc[:2] == ("query", "filter")
    return problem.type, ".".join(map(str, problem.loc[2:])), problem.message.format(**problem.params)


@pytest.mark.parametrize(
    ("text", "fault", "where"),
    [
        ("", "text_ends", ""),
        ("   ", "text_ends", ""),
        ("kind = ", "text_ends", ""),
        ("kind = 'pump' AND", "text_ends", ""),
        ("(kind = 'pump'", "text_ends", ""),
        ("kind = 'pump')", "text_unreadable", ""),
        ("kind = 'pump", "text_unreadable", ""),
        ("kind = 'pump'; DROP TABLE sites", "text_unreadable", ""),
        ("kind", "condition_needed", ""),
        ("'pump'", "condition_needed", ""),
        ("casei(kind)", "condition_needed", ""),
        ("kind = 'a' AND name", "condition_needed", "args.1"),
        ("knid = 'pump'", "property_unknown", "args.0"),
        ("version = 1 AND password_hash = 'x'", "property_unknown", "args.1.args.0"),
        ("properties.depth = 1", "property_unknown", "args.0"),
        ('"kind"" = \'\' OR 1=1 --" = 1', "property_unknown", "args.0"),
        ('"sites.kind" = 1', "property_unknown", "args.0"),
        ("pg_sleep(10)", "operator_unknown", ""),
        ("pg_sleep(10) = 1", "operator_unknown", "args.0"),
        ("lower(kind) = 'pump'", "operator_unknown", "args.0"),
        ("accenti(kind) = accenti('x')", "operator_unknown", "args.0"),
        ("version + 1 = 2", "operator_unknown", "args.0"),
        ("kind = 'a' -- comment", "operator_unknown", "args.1"),
        ("a_contains(kind, ('a'))", "operator_unknown", ""),
        ("version = 'x'", "types_differ", ""),
        ("kind = 7", "types_differ", ""),
        ("kind = true", "types_differ", ""),
        ("created_at = '2026-01-01T00:00:00Z'", "types_differ", ""),
        ("kind IN ('a', 1)", "types_differ", ""),
        ("version BETWEEN 1 AND 'x'", "types_differ", ""),
        ("geometry = geometry", "type_wrong", ""),
        ("version LIKE '1%'", "type_wrong", "args.0"),
        ("casei(version) = 'x'", "type_wrong", "args.0.args.0"),
        ("s_intersects(kind, POINT(1 1))", "type_wrong", "args.0"),
        ("t_after(kind, DATE('2026-01-01'))", "type_wrong", "args.0"),
        ("t_after(INTERVAL(kind, '..'), DATE('2026-01-01'))", "type_wrong", "args.0.interval.0"),
        ("kind = NULL", "null_compared", "args.1"),
        ("kind = ('a', 'b')", "value_needed", "args.1"),
        ("kind = (name = 'a')", "value_needed", "args.1"),
        ("kind LIKE name", "literal_needed", "args.1"),
        ("kind LIKE 'a\\\\'", "pattern_unfinished", "args.1"),
        ("version = 1e400", "number_too_large", "args.1"),
        ("created_at > DATE('2026-02-30')", "time_invalid", "args.1"),
        ("created_at > DATE('yesterday')", "time_invalid", "args.1"),
        ("created_at > TIMESTAMP('2026-01-01')", "time_invalid", "args.1"),
        ("created_at > TIMESTAMP('0001-01-01T00:00:00+09:00')", "time_invalid", "args.1"),
        ("t_after(created_at, INTERVAL('2026-01-02', '2026-01-01'))", "interval_backward", "args.1"),
        ("t_after(created_at, INTERVAL('x', '..'))", "time_invalid", "args.1.interval.0"),
        ("t_during(created_at, INTERVAL('2026-01-01', '..'))", "interval_needed", ""),
        ("s_intersects(geometry, POINT(90 180))", "swapped", "args.1.coordinates"),
        ("s_intersects(geometry, POLYGON((0 0,1 1,1 0,0 1,0 0)))", "self_crossing", "args.1.coordinates.0.0"),
        ("s_intersects(geometry, BBOX(1,2,3))", "bbox_form", "args.1"),
        ("s_intersects(geometry, BBOX(1,3,2,2))", "bbox_upside_down", "args.1.bbox"),
        ("s_intersects(geometry, BBOX(0,0,1e400,1))", "bbox_form", "args.1.bbox"),
        ("s_intersects(geometry, BBOX(kind,0,1,1))", "bbox_form", "args.1"),
        ("s_intersects(geometry)", "argument_count", ""),
        ("casei() = 'x'", "argument_count", "args.0"),
        ("kind = 'a\0'", "unstorable", ""),
        ("kind = '\ud800'", "unstorable", ""),
        ("kind = 'a' " + "OR kind = 'a' " * 70, "too_large", ""),
        ("kind = '" + "a" * 8000 + "'", "too_long", ""),
        # What would keep the parser busy for hours, or crash it.
        ("(" * 33 + "true" + ")" * 33, "too_deep", ""),
        ("(" * 24, "too_deep", ""),
        ("1 andnot" * 30 + "(" * 30, "too_deep", ""),
        ("1 andnot(" * 30, "too_deep", ""),
        ("(" * 3990 + "true", "too_deep", ""),
        ("(" * 8 + "a=1 and " * 900, "too_deep", ""),
        ("casei(" * 1000 + "kind" + ")" * 1000 + " = 'a'", "too_deep", ""),
        ("1<" * 3900 + "1", "too_large", ""),
        ("-" * 7000 + "1 = 1", "too_large", ""),
        ("not " * 1900 + "true", "too_large", ""),
    ],
)
def test_a_wrong_text_is_refused_with_the_reason_and_the_place(text: str, fault: str, where: str) -> None:
    assert refusal(text)[:2] == (fault, where)


PROPERTY = {"property": "kind"}


def nested(depth: int) -> Any:
    return {"op": "not", "args": [nested(depth - 1)]} if depth else True


@pytest.mark.parametrize(
    ("text", "fault", "where"),
    [
        ("", "json_unreadable", ""),
        ("kind = 'a'", "json_unreadable", ""),
        ('{"op":"=","args":[{"property":"version"},NaN]}', "json_unreadable", ""),
        ('{"op":"=","args":[{"property":"kind"},"\\ud800"]}', "json_unreadable", ""),
        ('{"op":"=","args":[{"property":"kind"},"a\\u0000"]}', "unstorable", "args.1"),
        ("[" * 8000, "json_unreadable", ""),
        (json.dumps(nested(33)), "too_deep", ""),
        ("{}", "json_unreadable", ""),
        ("[]", "condition_needed", ""),
        ("7", "condition_needed", ""),
        ("null", "condition_needed", ""),
        ({"op": "="}, "json_unreadable", ""),
        ({"op": 7, "args": []}, "json_unreadable", ""),
        ({"op": "=", "args": [PROPERTY]}, "argument_count", ""),
        ({"op": "=", "args": [PROPERTY, "a", "b"]}, "argument_count", ""),
        ({"op": "and", "args": []}, "argument_count", ""),
        ({"op": "and", "args": [True]}, "argument_count", ""),
        ({"op": "not", "args": [True, True]}, "argument_count", ""),
        ({"op": "in", "args": [PROPERTY, []]}, "list_needed", "args.1"),
        ({"op": "in", "args": [PROPERTY, [["a"]]]}, "value_needed", "args.1.0"),
        ({"op": "=", "args": [["a"], PROPERTY]}, "value_needed", "args.0"),
        ({"op": "like", "args": [PROPERTY, {"op": "casei", "args": [PROPERTY]}]}, "literal_needed", "args.1"),
        ({"op": "=", "args": [{"property": "kind'; --"}, "a"]}, "property_unknown", "args.0"),
        ({"op": "= 1 OR 1 =", "args": [PROPERTY, "a"]}, "operator_unknown", ""),
        ({"op": "t_after", "args": [{"property": "created_at"}, {"date": 7}]}, "time_invalid", "args.1"),
        ({"op": "t_after", "args": [{"property": "created_at"}, {"interval": []}]}, "time_invalid", "args.1"),
        ({"op": "t_after", "args": [{"property": "created_at"}, {"interval": [{}, ".."]}]}, "json_unreadable", ""),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"bbox": []}]}, "bbox_form", "args.1"),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"bbox": ["0", 0, 1, 1]}]}, "bbox_form", "args.1"),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"type": "Circle"}]}, "json_unreadable", ""),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"type": "Polygon", "coordinates": []}]},
            "empty",
            "args.1.coordinates",
        ),
    ],
    ids=str,
)
def test_wrong_json_is_refused_with_the_reason_and_the_place(text: Any, fault: str, where: str) -> None:
    source = text if isinstance(text, str) else json.dumps(text)
    assert refusal(source, "cql2-json")[:2] == (fault, where)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("knid = 'a'", "There is no property knid. There are: id, geometry, name, kind, external_id, owner_id, "),
        ("version = 'x'", "version = 'x' does not work: the one is of type number, the other string."),
        ("upper(kind) = 'X'", "upper is not supported. There are: and, or, not, "),
        ("kind = 'a' AND name == 'b'", "The CQL2 text cannot be read from here on: = 'b'"),
        ("\n\nkind =\n = 'x'", "The CQL2 text cannot be read from here on: = 'x'"),
    ],
)
def test_the_words_name_what_is_wrong(text: str, words: str) -> None:
    assert refusal(text)[2].startswith(words)


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE sites; --", "x' OR '1'='1", "%(param_1)s", ":x", "\\'; --", "$$", "{}", "%", "a\\"],
)
def test_a_literal_is_a_bound_parameter_and_never_sql(session: Session, text: str) -> None:
    as_json = json.dumps({"op": "=", "args": [PROPERTY, text]})
    condition = compile_filter(as_json, lang="cql2-json")
    assert list(condition.compile().params.values()) == [text]
    assert text not in str(condition)
    assert found(session, as_json, lang="cql2-json") == set()
    assert found(session, json.dumps({"op": "<>", "args": [PROPERTY, text]}), lang="cql2-json") == ALL


@pytest.mark.parametrize("text", ["version < 1e308", "version < 99999999999999999999999", "version > -1e308"])
def test_numbers_beyond_any_column_compare(session: Session, text: str) -> None:
    assert found(session, text) == ALL


TOKENS = (
    "kind name version created_at geometry id = <> < >= AND OR NOT IS NULL LIKE IN BETWEEN ( ) , 'a' '%' 1 -2.5 .5 "
    "true false casei( s_intersects( t_after( POINT(1 BBOX(0,0,1,1) DATE('2026-01-01') INTERVAL( '..' \\ ' \" ; --"
)
SPATIAL = "s_intersects s_disjoint s_equals s_touches s_within s_overlaps s_crosses s_contains"
OPERATORS = "= and not like in between isNull casei s_within t_during + foo"
MEMBERS = "op args property date interval bbox type"


def one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


def call(operators: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda op, values: {"op": op, "args": list(values)}, one_of(operators), st.tuples(*args))


geometries = st.sampled_from(
    [
        {"property": "geometry"},
        {"bbox": [0, 0, 10, 10]},
        {"bbox": [170, -20, -170, 20]},
        {"type": "Point", "coordinates": [1, 1]},
        {"type": "LineString", "coordinates": [[2, 2], [6, 6]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [21, 1]}]},
    ]
)
strings = st.one_of(
    st.sampled_from(
        [PROPERTY, {"property": "id"}, {"property": "external_id"}, "00000000-0000-0000-0000-000000000003"]
    ),
    st.text(max_size=4),
)
strings = st.one_of(strings, strings.map(lambda value: {"op": "casei", "args": [value]}))
numbers = st.one_of(st.just({"property": "version"}), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
instants = st.one_of(
    st.sampled_from([{"property": "created_at"}, {"property": "updated_at"}, {"date": "9999-12-31"}]),
    st.datetimes().map(lambda moment: {"timestamp": f"{moment.isoformat()}Z"}),
)
intervals = st.tuples(
    st.sampled_from(["..", "2026-01-01", {"property": "created_at"}]),
    st.sampled_from(["..", "2026-03-01T12:00:00Z", {"property": "updated_at"}]),
).map(lambda ends: {"interval": list(ends)})


scalars = [strings, numbers, instants]
conditions = st.recursive(
    st.one_of(
        st.booleans(),
        *(call("= <> < <= > >=", scalar, scalar) for scalar in scalars),
        *(call("between", scalar, scalar, scalar) for scalar in scalars),
        *(call("in", scalar, st.lists(scalar, min_size=1, max_size=3)) for scalar in scalars),
        *(call("isNull", scalar) for scalar in [*scalars, geometries, intervals]),
        call("like", strings, st.text(alphabet="a%_\\P*?[", max_size=5)),
        call(
            SPATIAL,
            geometries,
            geometries,
        ),
        call("t_after t_before t_disjoint t_equals t_intersects", instants | intervals, instants | intervals),
        call(
            "t_contains t_during t_meets t_metBy t_overlaps t_overlappedBy t_starts t_startedBy", intervals, intervals
        ),
        call("t_finishes t_finishedBy t_overlaps t_overlappedBy", intervals, intervals),
    ),
    lambda inner: st.one_of(call("and or", inner, inner), call("not isNull", inner)),
    max_leaves=5,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | geometries,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(one_of(MEMBERS), inner, max_size=3),
        st.builds(
            lambda op, args: {"op": op, "args": args},
            one_of(OPERATORS),
            st.lists(inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


def is_answered(session: Session, text: str, lang: FilterLang) -> bool:
    """Whether the filter was fit to be asked; raises what a request would answer with 500."""
    try:
        found(session, text, lang=lang)
    except (FilterInvalidError, NotOnSqliteError):
        return False
    return True


@many
@given(text=st.lists(one_of(TOKENS), max_size=12).map(" ".join) | st.text(max_size=60))
def test_no_text_is_too_strange(session: Session, text: str) -> None:
    is_answered(session, text, "cql2-text")


@many
@given(node=anything)
def test_no_json_is_too_strange(session: Session, node: Any) -> None:
    is_answered(session, json.dumps(node), "cql2-json")


@many
@given(node=conditions)
@example(node={"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [20, 0, 23, 3]}]})
def test_what_is_well_formed_is_answered_on_both_databases(session: Session, node: Any) -> None:
    is_answered(session, json.dumps(node), "cql2-json")
