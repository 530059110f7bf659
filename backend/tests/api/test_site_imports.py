"""The import: what comes in, what is refused with which words, and that it is all or nothing."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from httpx2 import Response

from app.settings import Settings
from tests.support.api import Api, Caller, one_database, problem_of, running, site
from tests.support.conformance import Document

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}


def collection(features: Sequence[Any], **members: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", **members, "features": features}).encode()


def send(caller: Caller, content: bytes, *, media_type: str = "application/geo+json", **options: Any) -> Response:
    headers = {"Content-Type": media_type, **options.pop("headers", {})}
    return caller.post("/sites/import", content=content, headers=headers, **options)


def imported(caller: Caller, features: Sequence[Any], **options: Any) -> tuple[int, int, int]:
    """How many were created, updated and left alone."""
    answer = send(caller, collection(features), **options)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    return report["created"], report["updated"], report["unchanged"]


def faults(answer: Response) -> list[tuple[int, str, str]]:
    """Which feature is wrong, where in it and how."""
    assert problem_of(answer) == (422, "import-invalid")
    return [(error["index"], ".".join(map(str, error["loc"][3:])), error["type"]) for error in answer.json()["errors"]]


def sites(api: Api) -> Mapping[str, Any]:
    """All sites by name."""
    return {found["properties"]["name"]: found for found in api.viewer.listed("/sites", limit=1000)}


def test_features_become_sites_of_the_one_who_sends_them(api: Api) -> None:
    features = [site(SQUARE, name="Square", external_id="S-1", properties={"a": [1, "ü"]}), site(name='P "\\\t,')]

    assert imported(api.editor, features) == (2, 0, 0)

    found = sites(api)
    assert found["Square"]["geometry"] == SQUARE
    assert found["Square"]["properties"]["properties"] == {"a": [1, "ü"]}
    assert found["Square"]["properties"]["external_id"] == "S-1"
    assert found['P "\\\t,']["geometry"] == site()["geometry"]
    assert found['P "\\\t,']["properties"]["external_id"] is None
    assert {one["properties"]["owner_id"] for one in found.values()} == {api.editor.id}


def test_the_same_file_again_changes_nothing_and_a_changed_one_changes_what_differs(api: Api) -> None:
    features = [site(SQUARE, name=f"Square {number}", external_id=f"S-{number}") for number in range(3)]
    assert imported(api.editor, features) == (3, 0, 0)
    before = sites(api)

    assert imported(api.editor, features) == (0, 0, 3)
    assert sites(api) == before

    features[1]["properties"]["kind"] = "well"
    assert imported(api.editor, features) == (0, 1, 2)
    after = sites(api)
    assert [after[f"Square {number}"]["properties"]["version"] for number in range(3)] == [1, 2, 1]
    assert after["Square 1"]["properties"]["kind"] == "well"
    assert after["Square 1"]["properties"]["updated_at"] > before["Square 1"]["properties"]["updated_at"]
    assert after["Square 1"]["id"] == before["Square 1"]["id"]


def test_one_bad_feature_keeps_all_out_and_every_bad_one_is_told_with_its_place(api: Api) -> None:
    features = [
        site(SQUARE, external_id="good"),
        site(BOW_TIE, external_id="tie"),
        site(name=""),
        {"type": "Feature"},
        7,
        site(SQUARE, external_id="good"),
    ]
    content = collection(features)

    answer = send(api.editor, content)

    assert faults(answer) == [
        (1, "geometry.coordinates.0.0", "self_crossing"),
        (2, "properties.name", "string_too_short"),
        (3, "geometry", "missing"),
        (3, "properties", "missing"),
        (4, "", "model_attributes_type"),
        (5, "properties.external_id", "external_id_repeated"),
    ]
    problem = answer.json()
    assert problem["total"] == 5
    tie = problem["errors"][0]
    assert tie["external_id"] == "tie"
    assert content[tie["offset"] :].startswith(json.dumps(features[1]).encode())
    assert "feature 0 (at byte 43)" in problem["errors"][5]["message"]
    assert sites(api) == {}


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\x1e"], ids=["lines", "CRLF", "RS"])
def test_a_sequence_is_read_with_and_without_record_separators(api: Api, separator: bytes) -> None:
    features = [site(name=f"Site {number}") for number in range(3)]
    records = [json.dumps(feature).encode() for feature in features]
    content = separator.join(records) + b"\n"
    if separator == b"\x1e":
        content = b"".join(b"\x1e" + record + b"\n" for record in records)

    answer = send(api.editor, content, media_type="application/geo+json-seq")

    assert (answer.status_code, answer.json()["created"]) == (200, 3)


def test_a_bad_line_of_a_sequence_does_not_hide_the_next(api: Api) -> None:
    content = b"\n".join([json.dumps(site()).encode(), b"{", b"", b"\xff", json.dumps(site(BOW_TIE)).encode()])

    answer = send(api.editor, content, media_type="application/x-ndjson")

    assert faults(answer) == [
        (1, "", "json_invalid"),
        (2, "", "not_utf8"),
        (3, "geometry.coordinates.0.0", "self_crossing"),
    ]
    assert [error["line"] for error in answer.json()["errors"]] == [2, 4, 5]


def test_a_record_that_is_too_long_is_one_fault_and_the_next_keeps_its_number(api: Api) -> None:
    lines = [b'"' + b"x" * 6_000_000 + b'"', json.dumps(site(BOW_TIE)).encode()]
    answer = send(api.editor, b"\n".join(lines), media_type="application/geo+json-seq")
    assert [(number, kind) for number, _, kind in faults(answer)] == [(0, "feature_too_large"), (1, "self_crossing")]
    assert [error["line"] for error in answer.json()["errors"]] == [1, 2]


def test_a_byte_order_mark_passes_and_counts(api: Api) -> None:
    good = codecs.BOM_UTF8 + json.dumps(site(name="marked")).encode()
    assert send(api.editor, good, media_type="application/geo+json-seq").json()["created"] == 1
    assert send(api.editor, codecs.BOM_UTF8 + collection([site(name="marked, too")])).json()["created"] == 1
    bad = send(api.editor, codecs.BOM_UTF8 + collection([site(BOW_TIE)]))
    (error,) = bad.json()["errors"]
    assert error["offset"] == (codecs.BOM_UTF8 + collection([site(BOW_TIE)])).index(json.dumps(site(BOW_TIE)).encode())


def test_a_compressed_body_is_unpacked(api: Api) -> None:
    content = gzip.compress(collection([site()]))
    assert send(api.editor, content, headers={"Content-Encoding": "gzip"}).json()["created"] == 1


def test_many_bad_features_are_counted_and_the_first_are_shown(api: Api) -> None:
    answer = send(api.editor, collection([*[site(BOW_TIE)] * 450, site(name="")]))
    assert len(faults(answer)) == answer.json()["limit"] == 100
    assert answer.json()["total"] == 451


def test_a_dry_run_tells_what_would_be_and_writes_nothing(api: Api) -> None:
    features = [site(external_id="S-1"), site(name="Another")]
    assert imported(api.editor, features[:1]) == (1, 0, 0)
    assert imported(api.editor, features, params={"dry_run": True}) == (1, 0, 1)
    assert len(sites(api)) == 1
    assert faults(send(api.editor, collection([site(name="")]), params={"dry_run": True}))


def test_one_audit_event_tells_of_an_import(api: Api) -> None:
    imported(api.editor, [site(), site()])
    (event,) = api.admin.listed("/audit-events", action="site.import")
    assert event["detail"] == {"created": 2, "updated": 0, "unchanged": 0}
    assert (event["actor_id"], event["subject_id"]) == (api.editor.id, api.editor.id)
    assert event["occurred_at"][:19] == sites(api)["Pumping station 7"]["properties"]["created_at"][:19]


def test_only_an_editor_imports(api: Api) -> None:
    assert problem_of(send(api.viewer, collection([]))) == (403, "permission-denied")
    assert problem_of(send(api.anonymous, collection([]))) == (401, "invalid-token")


@one_database
@pytest.mark.parametrize(
    ("content", "position", "kind"),
    [
        (b'{"type": "FeatureCollection", "features": [{"type": }]}', 52, "json_invalid"),
        (b'{"type": "FeatureCollection", "features": [', 43, "json_invalid"),
        (b'{"type": "FeatureCollection", "features": [1, ]}', 46, "json_invalid"),
        (b'{"type": "FeatureCollection", "features": []} x', 46, "json_invalid"),
        (b'{"type": "FeatureCollection", "features": ["\xff"]}', None, "not_utf8"),
        (b'{"type": "FeatureCollection", "features": ' + b"[" * 100_000, None, "json_unreadable"),
        (b'{"type": "FeatureCollection", "features": ["' + b"x" * 5_000_000 + b'"]}', None, "feature_too_large"),
    ],
    ids=["no value", "cut short", "a comma more", "more behind", "no UTF-8", "deep", "too large"],
)
def test_what_does_not_parse_is_told_with_its_byte(api: Api, content: bytes, position: int | None, kind: str) -> None:
    answer = send(api.editor, content)
    assert faults(answer)[-1][2] == kind
    message = answer.json()["errors"][-1]["message"]
    assert position is None or f"byte {position}:" in message, message


@one_database
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"type": "FeatureCollection"}', b'{"features": []}'])
def test_what_is_no_feature_collection_is_refused(api: Api, content: bytes) -> None:
    assert problem_of(send(api.editor, content)) == (422, "invalid-request")


@one_database
def test_the_crs_of_gdal_passes_and_another_does_not(api: Api) -> None:
    def crs(name: str) -> dict[str, Any]:
        return {"crs": {"type": "name", "properties": {"name": name}}, "name": "sites"}

    assert send(api.editor, collection([site()], **crs("urn:ogc:def:crs:OGC:1.3:CRS84"))).status_code == 200
    assert problem_of(send(api.editor, collection([site()], **crs("EPSG:3857")))) == (422, "invalid-request")


@one_database
def test_an_import_may_be_so_large_compressed_and_not(settings: Settings, document: Document) -> None:
    transfer = settings.transfer.model_copy(update={"max_bytes": 10_000})
    with running(settings.model_copy(update={"transfer": transfer}), document) as api:
        bomb = gzip.compress(b" " * 1_000_000)
        assert len(bomb) < 2_000
        for content, coding in ((b" " * 10_001, "identity"), (bomb, "gzip")):
            answer = send(api.editor, content, headers={"Content-Encoding": coding})
            assert problem_of(answer) == (413, "body-too-large")
            assert answer.json()["limit"] == 10_000
        broken = send(api.editor, gzip.compress(collection([site()]))[:-9], headers={"Content-Encoding": "gzip"})
        assert problem_of(broken) == (400, "unreadable-request")
        assert problem_of(send(api.editor, b"{}", headers={"Content-Encoding": "br"})) == (
            415,
            "unsupported-media-type",
        )


@one_database
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_is_no_import_on_its_path_has_the_limits_of_all(api: Api, method: str) -> None:
    content = b"x" * (api.app.state.settings.listen.max_body_bytes + 1)
    assert problem_of(api.anonymous.request(method, "/sites/import", content=content)) == (413, "body-too-large")


def test_features_of_any_length_are_read_across_chunks(api: Api) -> None:
    features = [site(name=f"ü {number}", properties={"a": "ü" * (number * 30_000)}) for number in range(8)]
    content = json.dumps(
        {"type": "FeatureCollection", "features": [*features, site(name="")]}, ensure_ascii=False
    ).encode()
    answer = send(api.editor, content)
    (error,) = answer.json()["errors"]
    assert content[error["offset"] :].startswith(b'{"type": "Feature"')
    assert error["index"] == 8
    assert imported(api.editor, features) == (8, 0, 0)
