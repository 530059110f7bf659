"""OWSLib, the Python library of many GIS programs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from owslib.ogcapi.features import Features

from app.api.ogc.documents import CONFORMANCE
from tests.support.api import site
from tests.support.service import Service
from tests.support.shapes import EACH, Feature, sites
from tests.support.tools import run

PAGE = Path(__file__).parents[3] / "docs/how-to/use-gis-clients.md"


@pytest.fixture
def client(service: Service) -> Features:
    return Features(f"{service.url}/ogc", headers=service.authorization)


def test_owslib_reads_the_documents(client: Features) -> None:
    assert client.api()["openapi"].startswith("3.0")
    assert set(client.conformance()["conformsTo"]) >= set(CONFORMANCE)
    assert client.feature_collections() == ["sites"]
    assert client.collection("sites")["itemType"] == "feature"


def test_owslib_reads_pages_and_single_sites(client: Features, features: dict[str, Feature]) -> None:
    found = client.collection_items("sites", limit=1000)["features"]
    assert {feature["id"]: feature for feature in found} == features

    one = client.collection_item("sites", found[0]["id"])
    assert {name: one[name] for name in found[0]} == found[0]


def test_owslib_finds_sites_by_place_and_by_attribute(client: Features, features: dict[str, Feature]) -> None:
    near = client.collection_items("sites", bbox=[12.9, 51.9, 13.005, 52.2])["features"]
    types = {feature["geometry"]["type"] for feature in sites()}
    assert {feature["properties"]["name"] for feature in near} == {f"{name} 0" for name in types} | {
        "GeometryCollection 50"
    }

    found = client.collection_items("sites", kind="Zähler", limit=1000)["features"]
    assert {feature["id"] for feature in found} == {
        key for key, feature in features.items() if feature["properties"]["kind"] == "Zähler"
    }


def test_the_example_of_the_page_about_clients_lists_the_sites(service: Service) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    script = example.replace("http://127.0.0.1:8000", service.url)
    token = service.authorization["Authorization"].removeprefix("Bearer ")

    lines = run([sys.executable, "-c", script], environment={"TOKEN": token, "no_proxy": "*"}).splitlines()

    assert len(lines) == len(sites()) + EACH
    assert {line.split()[1] for line in lines} >= {"Point", "MultiPolygon"}


def test_owslib_finds_sites_by_filters_on_queryables(client: Features, features: dict[str, Feature]) -> None:
    assert {"name", "kind", "version"} <= client.collection_queryables("sites")["properties"].keys()

    condition = "kind = 'Zähler' AND name LIKE 'Point%' AND S_INTERSECTS(geometry, BBOX(13, 51.9, 13.2, 52.2))"
    found = client.collection_items("sites", filter=condition, limit=1000)["features"]

    assert {feature["id"] for feature in found} == {
        key
        for key, feature in features.items()
        if feature["geometry"]["type"] == "Point"
        and feature["properties"]["kind"] == "Zähler"
        and 13 <= feature["geometry"]["coordinates"][0] <= 13.2
        and 51.9 <= feature["geometry"]["coordinates"][1] <= 52.2
    }
    assert len(found) > 1


def test_owslib_makes_changes_and_deletes_a_site(client: Features) -> None:
    client.collection_item_create("sites", site(name="of OWSLib"))
    key = client.response_headers["Location"].rpartition("/")[2]
    try:
        client.collection_item_update("sites", key, site(name="changed by OWSLib"))
        assert client.collection_item("sites", key)["properties"]["name"] == "changed by OWSLib"
    finally:
        client.collection_item_delete("sites", key)
    assert client.collection_items("sites", name="changed by OWSLib")["features"] == []
