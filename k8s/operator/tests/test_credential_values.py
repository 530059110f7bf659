"""Values are made once, and stand in a template as its kind of text wants them."""

from __future__ import annotations

import re
import string
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landfall_operator.credential_values import (
    ALPHABETS,
    Record,
    TemplateError,
    fill,
    generate,
    lost_keys,
    next_values,
)

NOTHING = Record()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
URL = "postgresql+psycopg2://{{user}}:{{ password }}@{{host}}:{{port}}/{{db}}?application_name={{user}}#{{password}}"


def made(length: int = 32, alphabet: str = "Alphanumeric") -> dict[str, Any]:
    return {"generate": {"length": length, "alphabet": alphabet}}


def spec(templates: dict[str, str] | None = None, **values: Any) -> dict[str, Any]:
    return {"values": values, "templates": templates or {}}


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_generated_value_has_the_length_and_the_characters_asked_for(alphabet: str) -> None:
    text = "".join(generate(length=64, alphabet=alphabet) for _ in range(200))
    assert set(text) == set(ALPHABETS[alphabet])
    assert len(text) == 64 * 200


def test_no_two_generated_values_are_alike() -> None:
    assert len({generate(length=16, alphabet="Hex") for _ in range(1000)}) == 1000


def test_a_value_with_symbols_begins_with_a_letter_so_that_no_tool_takes_it_for_an_option() -> None:
    assert {generate(length=16, alphabet="Symbols")[0] for _ in range(2000)} <= set(string.ascii_letters)


@given(user=TEXT, password=TEXT, db=TEXT)
def test_a_url_gives_back_every_value_that_went_into_it(user: str, password: str, db: str) -> None:
    named = {"user": user, "password": password, "db": db, "host": "pg.shop.svc", "port": "5432"}
    url = urlsplit(fill({"URL": URL}, named)["URL"])
    assert (unquote(url.username or ""), unquote(url.password or "")) == (user, password)
    assert (url.hostname, url.port) == ("pg.shop.svc", 5432)
    assert (unquote(url.path[1:]), unquote(url.fragment)) == (db, password)
    assert parse_qs(url.query, keep_blank_values=True, strict_parsing=True)["application_name"] == [user]


@given(value=TEXT)
def test_what_is_no_url_has_its_values_as_they_are(value: str) -> None:
    text = fill({"PGPASS": "*:*:{{a}}:x"}, {"a": value})["PGPASS"]
    assert text == f"*:*:{value}:x"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{a}}", "p@ss/w"),
        ("user={{a}} host={{h}}", "user=p@ss/w host=pg"),
        ("see x://{{a}}", "see x://p@ss/w"),
        ("redis://:{{a}}@{{h}}/0", "redis://:p%40ss%2Fw@pg/0"),
        ("jdbc:postgresql://{{h}}/db?password={{a}}", "jdbc:postgresql://pg/db?password=p%40ss%2Fw"),
        ("{{s}}://u:{{a}}@{{h}}", "amqp://u:p%40ss%2Fw@pg"),
        ("postgresql://u:{{a}}@{{h}},{{h}}2:5432/{{a}}", "postgresql://u:p%40ss%2Fw@pg,pg2:5432/p%40ss%2Fw"),
        ("postgresql://{{h}}", "postgresql://pg"),
        ("postgresql:///db?host={{a}}", "postgresql:///db?host=p%40ss%2Fw"),
        ("https://{{h}}#{{a}}\n", "https://pg#p%40ss%2Fw\n"),
        ('{"a": {{{h}}}}', '{"a": {pg}}'),
    ],
)
def test_values_are_encoded_where_a_url_needs_it_and_nowhere_else(template: str, filled: str) -> None:
    assert fill({"T": template}, {"a": "p@ss/w", "h": "pg", "s": "amqp"}) == {"T": filled}


def test_a_value_that_looks_like_a_placeholder_is_not_filled_in_again() -> None:
    assert fill({"T": "{{a}}"}, {"a": "{{b}}", "b": "secret"}) == {"T": "{{b}}"}


def test_bytes_that_are_no_text_go_into_a_url_as_they_are() -> None:
    assert fill({"T": "x://{{a}}@h"}, {"a": b"\xff".decode(errors="surrogateescape")}) == {"T": "x://%FF@h"}


@pytest.mark.parametrize("bad", list("/@?# \t\\\n"))
@pytest.mark.parametrize("template", ["x://u:p@{{h}}/", "x://u@host:{{h}}", "x://{{h}}", "{{h}}://host"])
def test_a_value_that_no_host_can_have_is_refused_and_not_told(template: str, bad: str) -> None:
    with pytest.raises(TemplateError, match=r"spec\.templates\.URL names 'h' as host or port") as raised:
        fill({"URL": template}, {"h": f"hunter{bad}2"})
    assert "hunter" not in str(raised.value)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{b}}", "names 'b', which is no key of spec.values"),
        ("{{ .Values.a }}", "names '.Values.a', which is no key"),
        ("{{}}", "names '', which is no key"),
        ("{{a}} {{other}}", "names 'other', which is a template"),
        ("{{T}}", "names 'T', which is a template"),
        ("{{a}", "has a {{ that names no key: write {{KEY}}"),
        ("{{a}} {{", "has a {{ that names no key"),
    ],
)
def test_a_template_that_names_no_value_is_refused_by_name(template: str, words: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(f"spec.templates.T {words}")):
        fill({"T": template, "other": "{{a}}"}, {"a": "1"})


def test_generated_values_that_are_there_stay_whatever_the_spec_says_of_them() -> None:
    first = next_values(spec(a=made()), {}, NOTHING, rotate=False)
    for changed in (made(64), made(16, "Hex"), made(32, "Symbols")):
        again = next_values(spec(a=changed), first.data, first.record, rotate=False)
        assert again.changes(first.data, first.record) == {}


def test_given_values_and_templates_follow_the_spec() -> None:
    first = next_values(spec({"t": "{{g}}-{{a}}"}, a=made(), g={"value": "1"}), {}, NOTHING, rotate=False)
    again = next_values(spec({"t": "{{a}}+{{g}}"}, a=made(), g={"value": "2"}), first.data, first.record, rotate=False)
    a = first.data["a"]
    assert again.changes(first.data, first.record) == {"g": "2", "t": f"{a}+2"}


def test_a_generated_value_that_people_have_set_stays_and_templates_follow() -> None:
    body = spec({"t": "x://{{a}}@h"}, a=made(), g={"value": "1"})
    first = next_values(body, {}, NOTHING, rotate=False)
    edited = {**first.data, "a": "by/hand", "g": "wrong"}
    again = next_values(body, edited, first.record, rotate=False)
    assert again.changes(edited, first.record) == {"g": "1", "t": "x://by%2Fhand@h"}


def test_a_new_generated_key_is_added_beside_the_others() -> None:
    first = next_values(spec(a=made()), {}, NOTHING, rotate=False)
    again = next_values(spec(a=made(), b=made(20)), first.data, first.record, rotate=False)
    changes = again.changes(first.data, first.record)
    assert list(changes) == ["b"]
    assert len(changes["b"] or "") == 20
    assert again.record.generated == {"a", "b"}


def test_what_the_spec_drops_goes_unless_it_was_generated() -> None:
    full = spec({"t": "{{a}}"}, a=made(), b=made(), g={"value": "1"})
    first = next_values(full, {}, NOTHING, rotate=False)
    again = next_values(spec(a=made()), first.data, first.record, rotate=False)
    assert again.changes(first.data, first.record) == {"g": None, "t": None}
    assert (again.unlisted, again.data["b"]) == (["b"], first.data["b"])
    back = next_values(full, again.data, again.record, rotate=False)
    assert (back.unlisted, back.data["b"]) == ([], first.data["b"])


def test_a_key_that_the_spec_dropped_may_be_deleted_by_hand() -> None:
    record = Record(generated=frozenset({"a", "b"}))
    after = next_values(spec(a=made()), {"a": "1"}, record, rotate=False)
    assert (after.unlisted, after.record) == ([], Record(generated=frozenset({"a"})))


def test_what_somebody_else_put_into_the_secret_stays() -> None:
    held = {"theirs": "1", "their.previous": "2"}
    first = next_values(spec(a=made()), held, NOTHING, rotate=True)
    assert first.changes(held, NOTHING).keys() == {"a"}
    assert {"theirs", "their.previous"}.isdisjoint(first.data)


def test_a_value_that_was_there_before_the_credential_is_taken_as_the_generated_one() -> None:
    held = {"a": "theirs"}
    taken = next_values(spec({"t": "{{a}}"}, a=made()), held, NOTHING, rotate=False)
    assert taken.changes(held, NOTHING) == {"t": "theirs"}
    assert taken.record == Record(generated=frozenset({"a"}), given=frozenset({"t"}))


def test_what_was_given_does_not_become_a_generated_secret() -> None:
    first = next_values(spec(a={"value": "changeme"}), {}, NOTHING, rotate=False)
    again = next_values(spec(a=made()), first.data, first.record, rotate=False)
    assert again.data["a"] != "changeme"
    assert again.data.keys() == {"a"}


def test_a_generated_value_that_is_given_now_is_not_lost_before_the_next_rotation() -> None:
    first = next_values(spec(a=made(), b=made()), {}, NOTHING, rotate=False)
    given_now = spec(a={"value": "mine"}, b=made())
    second = next_values(given_now, first.data, first.record, rotate=False)
    third = next_values(given_now, second.data, second.record, rotate=False)
    assert third.data == {"a": "mine", "a.previous": first.data["a"], "b": first.data["b"]}
    assert third.changes(second.data, second.record) == {}
    rotated = next_values(given_now, third.data, third.record, rotate=True)
    assert rotated.data.keys() == {"a", "b", "b.previous"}


def test_a_rotation_makes_all_generated_values_new_and_keeps_the_last_ones() -> None:
    body = spec({"t": "{{a}}"}, a=made(), b=made(), g={"value": "1"})
    first = next_values(body, {}, NOTHING, rotate=False)
    second = next_values(body, first.data, first.record, rotate=True)
    assert second.data["a.previous"] == first.data["a"]
    assert second.data["b.previous"] == first.data["b"]
    assert second.data["t"] == second.data["a"] != first.data["a"]
    assert second.data.keys() == {"a", "a.previous", "b", "b.previous", "g", "t"}
    third = next_values(body, second.data, second.record, rotate=True)
    assert third.data["a.previous"] == second.data["a"]
    assert third.data.keys() == second.data.keys()


def test_a_look_after_a_rotation_changes_nothing() -> None:
    body = spec({"t": "{{a}}"}, a=made())
    first = next_values(body, {}, NOTHING, rotate=False)
    second = next_values(body, first.data, first.record, rotate=True)
    assert next_values(body, second.data, second.record, rotate=False).changes(second.data, second.record) == {}


def test_a_rotation_leaves_what_the_spec_does_not_name_as_it_is() -> None:
    first = next_values(spec(a=made(), b=made()), {}, NOTHING, rotate=False)
    second = next_values(spec(a=made()), first.data, first.record, rotate=True)
    assert (second.data["b"], "b.previous" in second.data) == (first.data["b"], False)


def test_keys_that_were_generated_once_and_are_gone_are_lost() -> None:
    record = Record(generated=frozenset({"a"}), given=frozenset({"g"}))
    body = spec(a=made(), b=made(), g=made(), new=made())
    assert lost_keys(body, {}, record, known=["b", "g"]) == ["a", "b"]
    assert lost_keys(body, {"a": "1", "b": "2"}, record, known=["b", "g"]) == []


def test_no_value_is_in_a_repr() -> None:
    value = next_values(spec(a={"value": "hunter2"}), {}, NOTHING, rotate=False)
    assert "hunter2" not in repr(value)


def test_the_record_is_read_back_from_the_annotations_that_it_writes() -> None:
    for record in (NOTHING, Record(generated=frozenset({"a", "b.c"}), given=frozenset({"URL"}))):
        assert Record.of(record.annotations()) == record
