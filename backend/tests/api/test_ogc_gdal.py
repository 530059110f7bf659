"""GDAL's OAPIF driver, which nobody here wrote, as a client of /ogc."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import required
from tests.support.api import point, site
from tests.support.gdal import find_gdal
from tests.support.service import Service
from tests.support.tools import run

SITES = 25


@pytest.fixture(scope="module")
def gdal() -> str:
    return required(find_gdal)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(directory=tmp_path_factory.mktemp("service"), environment={})
    service.start("--migrate", "--seed")
    yield service
    service.stop()


def login(service: Service) -> dict[str, str]:
    with service.client() as client:
        form = {"username": "test@example.com", "password": "landfall-demo"}
        token = client.post("/api/v1/auth/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def read(gdal: str, service: Service, headers: dict[str, str], *options: str, to: Path) -> list[dict[str, Any]]:
    """The features that GDAL writes to GeoJSON."""
    environment = {"GDAL_HTTP_HEADERS": f"Authorization: {headers['Authorization']}", "no_proxy": "*"}
    run([gdal, "-f", "GeoJSON", to, f"OAPIF:{service.url}/ogc", "sites", *options], environment=environment)
    features: list[dict[str, Any]] = json.loads(to.read_text())["features"]
    return features


def test_gdal_reads_every_site_through_paging_and_finds_those_in_a_box(
    gdal: str, service: Service, tmp_path: Path
) -> None:
    headers = login(service)
    with service.client() as client:
        for at in range(SITES):
            body = site(point(100 + at / 10, 10), name=f"site {at}")
            assert client.post("/api/v1/sites", json=body, headers=headers).status_code == 201
        everything = client.get("/api/v1/sites?limit=1000", headers=headers).json()["features"]

    found = read(gdal, service, headers, "-oo", "PAGE_SIZE=10", to=tmp_path / "all.geojson")
    assert {feature["properties"]["id"]: feature["geometry"] for feature in found} == {
        feature["id"]: feature["geometry"] for feature in everything
    }
    assert len(found) == len(everything) > SITES

    box = read(gdal, service, headers, "-spat", "99", "9", "100.55", "11", to=tmp_path / "box.geojson")
    assert [feature["properties"]["name"] for feature in box] == [f"site {at}" for at in range(6)]
