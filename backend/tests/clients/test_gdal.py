"""GDAL's drivers for OGC API - Features and for vector tiles."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from shapely import hausdorff_distance
from shapely.geometry import GeometryCollection, box, shape
from shapely.geometry.base import BaseGeometry

from tests.conftest import required
from tests.support.gdal import find_gdal
from tests.support.service import Service
from tests.support.shapes import Feature
from tests.support.tiles import EXTENT, to_degrees
from tests.support.token_proxy import TokenProxy
from tests.support.tools import run

ITEMS = "/ogc/collections/sites/items"
TILE = (11, 1099, 675)  # zoom, column, row
BUFFER = 256  # units around a tile that are drawn too


@pytest.fixture(scope="module")
def gdal() -> str:
    return required(find_gdal)


@pytest.fixture
def environment(service: Service) -> dict[str, str]:
    return {"GDAL_HTTP_HEADERS": f"Authorization: {service.authorization['Authorization']}", "no_proxy": "*"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "read.geojson"


def read(gdal: str, source: str, layer: str, *options: str, to: Path, **environment: str) -> list[Feature]:
    """What GDAL writes of a layer to GeoJSON."""
    run([gdal, "-f", "GeoJSON", to, source, layer, *options], environment={"no_proxy": "*", **environment})
    features: list[Feature] = json.loads(to.read_text())["features"]
    return features


def test_gdal_lists_the_collection_and_counts_its_sites(
    gdal: str, service: Service, features: dict[str, Feature], environment: dict[str, str]
) -> None:
    ogrinfo = str(Path(gdal).with_name("ogrinfo"))
    source = f"OAPIF:{service.url}/ogc"

    assert "1: sites (title: Sites)" in run([ogrinfo, "-ro", source], environment=environment)
    summary = run([ogrinfo, "-ro", "-so", source, "sites"], environment=environment)
    assert f"Feature Count: {len(features)}" in summary


@pytest.mark.parametrize("page_size", [(), ("-oo", "PAGE_SIZE=1000")], ids=["ten sites a page", "one page"])
def test_gdal_reads_every_site_whole(
    gdal: str,
    service: Service,
    features: dict[str, Feature],
    environment: dict[str, str],
    page_size: tuple[str, ...],
    target: Path,
) -> None:
    found = read(gdal, f"OAPIF:{service.url}/ogc", "sites", *page_size, to=target, **environment)

    assert {feature["properties"].pop("id"): as_written(feature) for feature in found} == {
        key: as_written(feature) for key, feature in features.items()
    }
    assert len(found) == len(features)


def as_written(feature: Feature) -> tuple[Any, Any]:
    """Geometry and attributes; GDAL's times are rounded to milliseconds."""
    properties = feature["properties"]
    times = {
        name: round(datetime.fromisoformat(properties[name]).timestamp(), 3) for name in ("created_at", "updated_at")
    }
    return feature["geometry"], properties | times


def test_gdal_has_the_service_look_for_names_and_places(
    gdal: str, proxy: TokenProxy, features: dict[str, Feature], target: Path
) -> None:
    box = ("-spat", "13.1", "51.9", "13.2", "52.2")
    found = read(gdal, f"OAPIF:{proxy.url}/ogc", "sites", "-where", "kind = 'Zähler'", *box, to=target)

    assert {feature["properties"]["kind"] for feature in found} == {"Zähler"}
    assert 0 < len(found) < len(features) / 10
    query = proxy.queries(ITEMS)[-1]
    assert query["kind"] == ["Zähler"]
    assert [float(number) for number in query["bbox"][0].split(",")] == pytest.approx([13.1, 51.9, 13.2, 52.2])


def test_gdal_reads_a_tile(
    gdal: str, service: Service, features: dict[str, Feature], tmp_path: Path, target: Path
) -> None:
    names = ("name", "kind", "external_id", "version")
    west, north = to_degrees(TILE, -BUFFER, -BUFFER)
    east, south = to_degrees(TILE, EXTENT + BUFFER, EXTENT + BUFFER)
    zoom, x, y = TILE
    file = tmp_path / "tile.mvt"
    with service.client() as client:
        client.headers.update(service.authorization)
        tile = client.get(f"/tiles/sites/{zoom}/{x}/{y}.mvt", params={"properties": ",".join(("id", *names))})
        there = client.get("/api/v1/sites", params={"bbox": f"{west},{south},{east},{north}", "limit": 1000}).json()
    file.write_bytes(tile.content)

    address = ("-oo", "CLIP=NO", "-oo", f"Z={zoom}", "-oo", f"X={x}", "-oo", f"Y={y}", "-t_srs", "EPSG:4326")
    found = {each["properties"].pop("id"): each for each in read(gdal, f"MVT:{file}", "sites", *address, to=target)}

    assert len(found) > 50
    assert {key: each["properties"] for key, each in found.items()} == {
        each["id"]: {name: value for name, value in each["properties"].items() if name in names and value is not None}
        for each in there["features"]
    }
    unit = (east - west) / (EXTENT + 2 * BUFFER)
    edge = box(west, south, east, north)
    for key, each in found.items():
        whole = drawn(shape(features[key]["geometry"]))
        if edge.contains(whole):
            assert hausdorff_distance(shape(each["geometry"]), whole) < unit


def drawn(geometry: BaseGeometry) -> BaseGeometry:
    """Of a collection, a tile has what has an area."""
    return geometry.geoms[-1] if isinstance(geometry, GeometryCollection) else geometry
