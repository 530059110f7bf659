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


PACKED, PLAIN = {"Accept-Encoding": "br, gzip"}, {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("url", [PAGE, f"{LIBRARY}/maplibre-gl.mjs", f"{PAGE}/static/map/style.css"])
def test_a_file_is_sent_compressed_to_who_takes_that(client: TestClient, url: str) -> None:
    packed, plain = client.get(url, headers=PACKED), client.get(url, headers=PLAIN)
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    for name in ("content-type", "cache-control", "content-security-policy", "last-modified"):
        assert packed.headers[name] == plain.headers[name], name


def test_a_tag_is_of_one_encoding(client: TestClient) -> None:
    tags = {client.get(PAGE, headers=encoding).headers["etag"]: encoding for encoding in (PACKED, PLAIN)}
    assert len(tags) == 2
    for tag, own in tags.items():
        for asked in (PACKED, PLAIN):
            answer = client.get(PAGE, headers={"If-None-Match": tag, **asked})
            assert answer.status_code == (304 if asked is own else 200)
            assert answer.headers["vary"] == "Accept-Encoding"


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
