"""One service for all clients: a process of its own on PostgreSQL, with sites of every kind in it. Write nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer
from tests.support.service import Service, serving
from tests.support.shapes import Feature, sites, unusual_sites
from tests.support.token_proxy import TokenProxy, proxying


@pytest.fixture(scope="session")
def service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(postgres, tmp_path_factory.mktemp("clients"), LISTEN_TRUSTED_PROXIES="127.0.0.1") as service:
        headers = {"Content-Type": "application/geo+json", **service.authorization}
        with service.client() as client:
            for part in (sites(), unusual_sites()):  # apart, so that the unusual ones are on the last pages
                body = json.dumps({"type": "FeatureCollection", "features": part})
                answer = client.post("/api/v1/sites/import", content=body, headers=headers)
                assert answer.json()["created"] == len(part), answer.text
        yield service


@pytest.fixture(scope="session")
def features(service: Service) -> dict[str, Feature]:
    """All sites by their ids, as the API itself gives them."""
    with service.client() as client:
        page = client.get("/api/v1/sites", params={"limit": 1000}, headers=service.authorization).json()
    assert len(page["features"]) == len(sites()) + len(unusual_sites())
    return {feature["id"]: feature for feature in page["features"]}


@pytest.fixture
def proxy(service: Service) -> Iterator[TokenProxy]:
    with proxying(service) as proxy:
        yield proxy
