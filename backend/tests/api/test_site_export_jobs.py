"""Exports as jobs: asked for, written behind the request, downloaded by a URL. Every format has what the list has."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from fastapi.testclient import TestClient

from app.services import site_tables
from app.services.export_jobs import MAX_UNFINISHED
from app.settings import Settings
from tests.conftest import required
from tests.support.api import Api, point, problem_of, running, site
from tests.support.conformance import Document
from tests.support.gdal import find_gdal
from tests.support.object_store import ObjectStore
from tests.support.processes import table_writers
from tests.support.settings import store_settings
from tests.support.tools import wait_until

JSON = {"Content-Type": "application/json"}
ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
SHAPES = [
    point(13.4, 52.5),
    {"type": "LineString", "coordinates": [[0, 0], [1.123456789, 1], [2, 0.5]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]], [[1, 1], [1, 2], [2, 2], [1, 1]]]},
    {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
    {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [3, 4]]]},
    {"type": "MultiPolygon", "coordinates": [[[[5, 5], [6, 5], [6, 6], [5, 5]]], [[[7, 7], [8, 7], [8, 8], [7, 7]]]]},
    {"type": "GeometryCollection", "geometries": [point(1, 2)]},
]
GDALS = {"geopackage": "gpkg", "flatgeobuf": "fgb"}  # with their suffixes
TEXTS = ("id", "name", "kind", "external_id", "owner_id")
TIMES = ("created_at", "updated_at")


@pytest.fixture
def no_worker(settings: Settings) -> Settings:
    """Jobs stay `pending`."""
    return settings.model_copy(update={"exports": settings.exports.model_copy(update={"jobs": 0})})


@pytest.fixture
def waiting(no_worker: Settings, document: Document) -> Iterator[Api]:
    with running(no_worker, document) as api:
        yield api


def make_sites(api: Api) -> list[Any]:
    """Sites of every type of geometry, as the list shows them, oldest first."""
    features = [
        site(shape, name=f'Säule "{number}"', external_id=f"S-{number}" if number else None, properties={"n": number})
        for number, shape in enumerate(SHAPES)
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    assert api.editor.post("/sites/import", content=content, headers=JSON).status_code == 200
    return api.viewer.listed("/sites", sort="created_at", limit=1000)


def ask(api: Api, **wanted: Any) -> str:
    answer = api.viewer.post("/sites/exports", json=wanted)
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["Location"]
    return location.removeprefix("/api/v1")


def ended(api: Api, path: str) -> Any:
    """The job when it has ended."""
    wait_until(
        lambda: api.viewer.read(path)["state"] in {"available", "failed"}, timeout_seconds=20, what="the job's end"
    )
    return api.viewer.read(path)


def download(api: Api, job: Any) -> bytes:
    assert job["state"] == "available", job
    if job["url"].startswith("/"):
        content: bytes = TestClient(api.app).get(job["url"]).raise_for_status().content
    else:
        with httpx2.Client(trust_env=False) as client:
            content = client.get(job["url"]).raise_for_status().content
    assert len(content) == job["size_bytes"]
    return content


def read_by_gdal(file: Path) -> list[dict[str, Any]]:
    options = ["-lco", "GEOMETRY=AS_WKT", "-lco", "STRING_QUOTING=ALWAYS"]
    command: list[str | Path] = [required(find_gdal), "-f", "CSV", "/vsistdout/", file, *options]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [
        {**row, **{name: datetime.fromisoformat(row[name].replace("/", "-")) for name in TIMES}}
        | {"geometry": shapely.from_wkt(row["WKT"])}
        for row in csv.DictReader(io.StringIO(text))
    ]


def read_by_pyarrow(content: bytes) -> list[dict[str, Any]]:
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    return [row | {"geometry": shapely.from_wkb(row["geometry"])} for row in rows]


def assert_same(rows: list[dict[str, Any]], features: list[Any], *, time_unit: timedelta) -> None:
    """Every feature is there once, with its geometry and all that the API says of it."""
    by_id = {row["id"]: row for row in rows}
    assert (len(rows), set(by_id)) == (len(features), {feature["id"] for feature in features})
    for feature in features:
        row, properties = by_id[feature["id"]], feature["properties"] | {"id": feature["id"]}
        expected = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert shapely.equals_exact(row["geometry"], expected, tolerance=1e-9), (row["geometry"], expected)
        assert {name: row[name] or None for name in TEXTS} == {name: properties[name] for name in TEXTS}
        assert int(row["version"]) == properties["version"]
        assert json.loads(row["properties"]) == properties["properties"]
        for name in TIMES:
            assert abs(row[name] - datetime.fromisoformat(properties[name])) < time_unit


def test_gdal_reads_every_site_from_its_formats(api: Api, tmp_path: Path) -> None:
    expected = make_sites(api)
    for form, suffix in GDALS.items():
        file = tmp_path / f"sites.{suffix}"

        job = ended(api, ask(api, format=form))

        file.write_bytes(download(api, job))
        assert job["sites"] == len(expected)
        assert_same(read_by_gdal(file), expected, time_unit=timedelta(milliseconds=1))
        layer = pyogrio.read_info(file)
        assert (layer["layer_name"], layer["crs"], layer["geometry_type"]) == ("sites", "EPSG:4326", "Unknown")
        assert layer["capabilities"]["fast_spatial_filter"]  # it has an index


def test_geoparquet_is_the_same_at_once_and_as_a_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_tables, "FIRST_ROWS", 1)
    monkeypatch.setattr(site_tables, "PAGE_ROWS", 2)
    expected = make_sites(api)

    answer = api.viewer.get("/sites/export", params={"format": "geoparquet"})
    job = ended(api, ask(api, format="geoparquet"))

    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sites.parquet"'
    assert job["sites"] == len(expected)
    for content in (answer.content, download(api, job)):
        assert_same(read_by_pyarrow(content), expected, time_unit=timedelta(microseconds=1))


def test_geoparquet_says_what_it_is_and_where_each_site_lies(api: Api) -> None:
    make_sites(api)
    file = pq.ParquetFile(io.BytesIO(api.viewer.get("/sites/export", params={"format": "geoparquet"}).content))

    geo = json.loads(file.metadata.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["bbox"]) == ("WKB", [0, 0, 13.4, 52.5])
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    for row in file.read().to_pylist():
        assert tuple(row["bbox"].values()) == shapely.from_wkb(row["geometry"]).bounds


@ON_POSTGRESQL
def test_no_sites_are_a_whole_file_too(api: Api, tmp_path: Path) -> None:
    content = api.viewer.get("/sites/export", params={"format": "geoparquet"}).content
    assert read_by_pyarrow(content) == []
    for form, suffix in GDALS.items():
        job = ended(api, ask(api, format=form))
        (tmp_path / f"sites.{suffix}").write_bytes(download(api, job))
        assert (job["sites"], read_by_gdal(tmp_path / f"sites.{suffix}")) == (0, [])


def test_a_job_writes_the_same_text_as_an_export_at_once(api: Api) -> None:
    expected = make_sites(api)
    for form in ("geojson", "geojsonseq", "csv"):
        job = ended(api, ask(api, format=form))
        assert job["sites"] == len(expected)
        assert download(api, job).decode() == api.viewer.get("/sites/export", params={"format": form}).text


def test_the_filters_of_the_list_hold(api: Api) -> None:
    make_sites(api)
    filters = {"bbox": "0,0,2.5,2.5", "filter": "external_id IN ('S-1', 'S-5', 'S-6')"}
    for form in ("geojson", "geoparquet", "flatgeobuf"):
        job = ended(api, ask(api, format=form, **filters))
        assert (job["state"], job["sites"], job["filters"]) == ("available", 2, filters), form


def test_what_is_wrong_is_told_when_it_is_asked_for(api: Api) -> None:
    for wanted, problem in (
        ({"format": "dwg"}, (422, "invalid-request")),
        ({}, (422, "invalid-request")),
        ({"format": "csv", "bbox": "1,2,3"}, (422, "invalid-request")),
        ({"format": "csv", "filter": "depth = 3"}, (400, "filter-invalid")),
    ):
        assert problem_of(api.viewer.post("/sites/exports", json=wanted)) == problem, wanted
    assert api.viewer.listed("/sites/exports") == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_sqlite_cannot_filter_is_told_when_it_is_asked_for(api: Api) -> None:
    wanted = {"format": "csv", "filter": "S_WITHIN(geometry, POLYGON((0 0, 1 0, 1 1, 0 0)))"}
    assert problem_of(api.viewer.post("/sites/exports", json=wanted)) == (501, "not-on-sqlite")


def test_without_a_token_there_is_nothing(api: Api) -> None:
    path = ask(api, format="csv")
    assert problem_of(api.anonymous.post("/sites/exports", json={"format": "csv"})) == (401, "invalid-token")
    for address in ("/sites/exports", path):
        assert problem_of(api.anonymous.get(address)) == (401, "invalid-token")


@pytest.mark.parametrize(("form", "package"), [("geoparquet", "pyarrow"), ("flatgeobuf", "pyogrio")])
def test_a_format_whose_packages_are_missing_is_not_there(
    api: Api, form: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    answer = api.viewer.post("/sites/exports", json={"format": form})
    assert problem_of(answer) == (501, "format-unavailable")
    assert "landfall-backend[export]" in answer.json()["detail"]
    if form == "geoparquet":
        answer = api.viewer.get("/sites/export", params={"format": form})
        assert problem_of(answer) == (501, "format-unavailable")


def test_a_job_is_ones_own_and_an_administrators(waiting: Api) -> None:
    path = ask(waiting, format="csv")
    (listed,) = waiting.viewer.listed("/sites/exports")
    assert (listed["state"], listed["format"], listed["attempts"]) == ("pending", "csv", 0)
    assert listed["owner_id"] == waiting.viewer.id

    assert waiting.editor.listed("/sites/exports") == []
    assert problem_of(waiting.editor.get(path)) == (404, "not-found")
    assert problem_of(waiting.editor.delete(path)) == (404, "not-found")

    assert waiting.admin.listed("/sites/exports") == [listed]
    assert waiting.admin.delete(path).status_code == 204
    assert problem_of(waiting.viewer.get(path)) == (404, "not-found")


def test_a_repeated_request_asks_for_one_file(waiting: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (waiting.viewer.post("/sites/exports", json={"format": "csv"}, headers=headers) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert len(waiting.viewer.listed("/sites/exports")) == 1


def test_nobody_fills_the_queue_alone(waiting: Api) -> None:
    for _ in range(MAX_UNFINISHED):
        ask(waiting, format="csv")
    assert problem_of(waiting.viewer.post("/sites/exports", json={"format": "csv"})) == (409, "too-many-exports")
    assert waiting.editor.post("/sites/exports", json={"format": "csv"}).status_code == 202


def test_the_url_says_how_long_it_is_good_and_goes_with_the_file(api: Api) -> None:
    path = ask(api, format="csv")
    job = ended(api, path)

    life = datetime.fromisoformat(job["url_expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < life <= timedelta(minutes=15)
    kept = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["finished_at"])
    assert kept == timedelta(days=1)
    answer = TestClient(api.app).get(job["url"])
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="sites-20')

    assert api.viewer.delete(path).status_code == 204
    assert TestClient(api.app).get(job["url"]).status_code == 404


@ON_POSTGRESQL
def test_a_job_that_is_deleted_ends_soon_also_while_gdal_closes_the_file(api: Api) -> None:
    make_sites(api)
    path = ask(api, format="geopackage")
    wait_until(lambda: table_writers() != set(), timeout_seconds=20, what="GDAL's process")
    (writer,) = table_writers()
    os.kill(writer, signal.SIGSTOP)  # it takes very long

    assert api.viewer.delete(path).status_code == 204

    wait_until(lambda: table_writers() == set(), timeout_seconds=10, what="its end, before the lease is renewed")


@ON_POSTGRESQL
def test_a_bucket_serves_the_file(settings: Settings, document: Document, checking_store: ObjectStore) -> None:
    with running(settings.model_copy(update={"artifacts": store_settings(checking_store)}), document) as api:
        expected = make_sites(api)
        job = ended(api, ask(api, format="geoparquet"))
        assert job["url"].startswith(checking_store.endpoint_url)
        assert_same(read_by_pyarrow(download(api, job)), expected, time_unit=timedelta(microseconds=1))


def test_the_large_libraries_are_imported_only_where_they_are_used() -> None:
    script = "import app.main, sys; print(sorted({'pyarrow', 'pyogrio'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
