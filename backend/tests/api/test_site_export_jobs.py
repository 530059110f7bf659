"""Exports as jobs: asked for, written behind the request, downloaded by a URL."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.conftest import required
from tests.support.api import Api, point, site
from tests.support.gdal import find_gdal
from tests.support.tools import wait_until

JSON = {"Content-Type": "application/json"}
SHAPES = [
    point(13.4, 52.5),
    {"type": "LineString", "coordinates": [[0, 0], [1.123456789, 1], [2, 0.5]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]], [[1, 1], [1, 2], [2, 2], [1, 1]]]},
    {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
    {"type": "MultiPolygon", "coordinates": [[[[5, 5], [6, 5], [6, 6], [5, 5]]], [[[7, 7], [8, 7], [8, 8], [7, 7]]]]},
    {"type": "GeometryCollection", "geometries": [point(1, 2)]},
]
SUFFIXES = {
    "geojson": "geojson",
    "geojsonseq": "geojsons",
    "csv": "csv",
    "geoparquet": "parquet",
    "geopackage": "gpkg",
    "flatgeobuf": "fgb",
}


def make_sites(api: Api) -> list[Any]:
    """Sites of every type of geometry, as the list shows them, oldest first."""
    features = [
        site(shape, name=f"Säule {number}", external_id=f"S-{number}" if number else None, properties={"n": number})
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
        answer = TestClient(api.app).get(job["url"])
    else:
        with httpx2.Client(trust_env=False) as client:
            answer = client.get(job["url"])
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == job["size_bytes"]
    return answer.content


def read_by_gdal(file: Path) -> list[Any]:
    """Features as GDAL reads them, their geometries as WKT."""
    ogr2ogr = required(find_gdal)
    text = subprocess.run(
        [ogr2ogr, "-f", "CSV", "/vsistdout/", file, "-lco", "GEOMETRY=AS_WKT", "-lco", "STRING_QUOTING=ALWAYS"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    import csv

    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("form", ["geopackage", "flatgeobuf"])
def test_gdal_reads_every_site_from_its_formats(api: Api, form: str, tmp_path: Path) -> None:
    expected = make_sites(api)

    job = ended(api, ask(api, format=form))

    assert job["sites"] == len(expected)
    file = tmp_path / f"sites.{SUFFIXES[form]}"
    file.write_bytes(download(api, job))
