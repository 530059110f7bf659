from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from app.api.map import STATIC
from app.middleware import needs_no_admission
from tests.support.api import one_database, problem_of

pytestmark = one_database
PAGE = "/map"
MAPLIBRE = next((STATIC / "maplibre").iterdir())
LIBRARY = f"{PAGE}/static/maplibre/{MAPLIBRE.name}"


def test_the_page_is_for_everybody(client: TestClient) -> None:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_page_may_load_and_ask_nothing_but_the_service(client: TestClient) -> None:
    policy = client.get(PAGE).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert set(re.findall(r"[a-z-]+-src ([^;]+)", policy)) == {"'none'", "'self'", "'self' data:"}


def test_every_file_that_the_page_names_is_there(client: TestClient) -> None:
    texts = [path.read_text() for path in (STATIC / "map").iterdir()]
    named = {f"{PAGE}/static/map/{name}" for text in texts for name in re.findall(r'from "\./([^"]+)"', text)}
    named |= {f"{PAGE}/static/{name}" for text in texts for name in re.findall(r'from "\.\./([^"]+)"', text)}
    named |= {f"/{name}" for text in texts for name in re.findall(r'"(map/static/[^"]+)"', text)}
    assert f"{LIBRARY}/maplibre-gl.css" in named
    assert f"{LIBRARY}/maplibre-gl.mjs" in named
    assert {url: client.get(url).status_code for url in named} == dict.fromkeys(named, 200)


def test_who_reads_its_files_slowly_takes_no_place_from_others(client: TestClient) -> None:
    assert needs_no_admission({"path": f"{LIBRARY}/maplibre-gl.mjs"})
    assert not needs_no_admission({"path": "/api/v1/sites"})


@pytest.mark.parametrize("name", ["maplibre-gl.mjs", "maplibre-gl-worker.mjs"])
def test_a_script_is_sent_as_one(client: TestClient, name: str) -> None:
    assert "javascript" in client.get(f"{LIBRARY}/{name}").headers["content-type"]


def test_a_release_of_the_library_is_kept_for_good(client: TestClient) -> None:
    answer = client.get(f"{LIBRARY}/maplibre-gl.css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_the_pages_own_files_are_asked_for_again_and_not_sent_again(client: TestClient) -> None:
    answer = client.get(PAGE)
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(PAGE, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.js", "map", "../api/map.py", "%2e%2e/api/map.py"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert problem_of(client.get(f"{PAGE}/static/{path}")) == (404, "no-such-address")


def test_the_library_is_what_its_licence_asks_for(client: TestClient) -> None:
    assert "MapLibre contributors" in client.get(f"{LIBRARY}/LICENSE.txt").text
