"""OWSLib, the Python library of many GIS programs."""

from __future__ import annotations

import pytest
from owslib.ogcapi.features import Features

from app.api.ogc.documents import CONFORMANCE
from tests.support.service import Service
from tests.support.shapes import Feature, sites


@pytest.fixture
def client(service: Service) -> Features:
    return Features(f"{service.url}/ogc", headers=service.authorization)


def test_owslib_reads_the_documents(client: Features) -> None:
    assert client.api()["openapi"].startswith("3.0")
    assert set(client.conformance()["conformsTo"]) == set(CONFORMANCE)
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
