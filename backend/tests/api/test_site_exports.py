"""The export: the same features as the list, in three formats, whole or visibly cut."""

from __future__ import annotations

import csv
import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import shapely

from app.services import site_exports
from tests.support.api import Api, point, problem_of, site

JSON = {"Content-Type": "application/json"}
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}


def exported(api: Api, **params: Any) -> str:
    answer = api.viewer.get("/sites/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer.text


def make_sites(api: Api, count: int = 5) -> list[Any]:
    """Sites as the list shows them, oldest first."""
    features = [site(point(number, 50), name=f"Site {number}", external_id=f"S-{number}") for number in range(count)]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    assert api.editor.post("/sites/import", content=content, headers=JSON).status_code == 200
    return api.viewer.listed("/sites", sort="created_at", limit=1000)


def test_geojson_and_its_sequence_have_the_features_of_the_list(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make_sites(api)
    for page_rows in (1, 2, 5, 1000):
        monkeypatch.setattr(site_exports, "PAGE_ROWS", page_rows)

        whole = json.loads(exported(api))
        assert (whole["type"], whole["features"]) == ("FeatureCollection", expected)

        records = exported(api, format="geojsonseq").split("\x1e")
        assert [json.loads(record) for record in records[1:]] == expected
        assert all(record.endswith("\n") for record in records[1:])


def test_csv_has_a_column_a_property_and_the_geometry_as_wkt(api: Api) -> None:
    made = api.editor.create("/sites", site(SQUARE, name='A "b",\nc', properties={"a": 'x"y'}))

    answer = api.viewer.get("/sites/export", params={"format": "csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert shapely.equals(shapely.from_wkt(row.pop("geometry")), shapely.from_geojson(json.dumps(SQUARE)))
    assert json.loads(row.pop("properties")) == {"a": 'x"y'}
    properties = made["properties"]
    assert row == {
        "id": made["id"],
        "name": 'A "b",\nc',
        "kind": "pump",
        "external_id": "",
        "owner_id": properties["owner_id"],
        "version": "1",
        "created_at": properties["created_at"],
        "updated_at": properties["updated_at"],
    }
    assert answer.text.count("\r\n") == 2


def test_a_spreadsheet_finds_no_formula_in_csv(api: Api) -> None:
    starts = ["=", "+", "-", "@", "\t", "\r"]
    for start in starts:
        api.editor.create("/sites", site(name=f"{start}cmd", kind=f"{start}1", external_id=f"{start}2"))
    rows = csv.DictReader(io.StringIO(exported(api, format="csv"), newline=""))
    found = [(row["name"], row["kind"], row["external_id"]) for row in rows]
    assert found == [(f"'{start}cmd", f"'{start}1", f"'{start}2") for start in starts]


def test_the_filters_of_the_list_hold(api: Api) -> None:
    make_sites(api)
    for params, names in (
        ({"kind": "well"}, []),
        ({"external_id": "S-3"}, ["Site 3"]),
        ({"bbox": "0.5,49,2.5,51"}, ["Site 1", "Site 2"]),
        ({"near": "4,50,10"}, ["Site 4"]),
        ({"text": "sITE 0"}, ["Site 0"]),
    ):
        found = json.loads(exported(api, **params))["features"]
        assert sorted(feature["properties"]["name"] for feature in found) == names, params


def test_what_is_wrong_with_the_request_is_told_before_a_byte_is_sent(api: Api) -> None:
    assert problem_of(api.viewer.get("/sites/export", params={"bbox": "1,2,3"})) == (422, "invalid-request")
    assert problem_of(api.viewer.get("/sites/export", params={"format": "dwg"})) == (422, "invalid-request")
    assert problem_of(api.anonymous.get("/sites/export")) == (401, "invalid-token")


def test_the_answer_is_compressed_for_who_takes_it(api: Api) -> None:
    expected = make_sites(api)
    api.client.event_hooks["response"].clear()  # it would unpack what is looked at here
    for accepted, coding in {"gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0.0": None, "identity": None}.items():
        headers = {**api.viewer.headers, "Accept-Encoding": accepted}
        with api.client.stream("GET", "/api/v1/sites/export", headers=headers) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers.get("Content-Encoding") == coding, accepted
        assert answer.headers["Content-Disposition"] == 'attachment; filename="sites.geojson"'
        assert json.loads(gzip.decompress(raw) if coding else raw)["features"] == expected


def test_an_export_comes_back_by_an_import(api: Api) -> None:
    expected = make_sites(api)
    for form, media_type in (("geojson", "application/geo+json"), ("geojsonseq", "application/geo+json-seq")):
        content = exported(api, format=form).encode()
        answer = api.editor.post("/sites/import", content=content, headers={"Content-Type": media_type})
        assert answer.json()["unchanged"] == len(expected)


def test_no_rows_are_a_whole_file_too(api: Api) -> None:
    assert json.loads(exported(api)) == {"type": "FeatureCollection", "features": []}
    assert exported(api, format="csv").startswith("id,name,kind,")
    assert "Feature" not in exported(api, format="geojsonseq")


def test_exports_that_are_being_read_leave_places_for_other_requests(api: Api) -> None:
    places = api.app.state.export_places
    places._value = 0  # as by clients that take their time
    assert problem_of(api.viewer.get("/sites/export")) == (503, "overloaded")
    assert api.viewer.get("/sites").status_code == 200
    assert api.viewer.get("/sites/export", params={"format": "geoparquet"}).status_code == 200


def test_an_export_has_its_place_before_its_first_rows_are_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.app.state.export_places._value = 1
    reached, goes_on = Event(), Event()
    real = site_exports.export_sites

    def held(*arguments: Any, **options: Any) -> Any:
        reached.set()
        assert goes_on.wait(10)
        return real(*arguments, **options)

    monkeypatch.setattr(site_exports, "export_sites", held)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(api.viewer.get, "/sites/export")
        assert reached.wait(10)
        second = api.viewer.get("/sites/export")
        goes_on.set()
        assert first.result().status_code == 200
    assert problem_of(second) == (503, "overloaded")
    assert api.viewer.get("/sites/export").status_code == 200


@pytest.mark.parametrize("params", [{"bbox": "0"}, {"filter": "no"}])
def test_an_export_that_is_refused_gives_its_place_back(api: Api, params: dict[str, str]) -> None:
    api.app.state.export_places._value = 1
    assert api.viewer.get("/sites/export", params=params).is_client_error
    assert api.viewer.get("/sites/export").status_code == 200


def test_exports_with_a_process_each_are_few_and_leave_places_for_others(api: Api) -> None:
    api.app.state.table_places._value = 0
    assert problem_of(api.viewer.get("/sites/export", params={"format": "geoparquet"})) == (503, "overloaded")
    assert api.viewer.get("/sites/export").status_code == 200
