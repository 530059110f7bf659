"""OGC API - Features as a client meets it: every answer is held against the OpenAPI 3.0 document that it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from httpx2 import Response

from app.settings import Settings
from tests.support.api import Api, Caller, running
from tests.support.conformance import Document

HOST = "http://testserver"
ITEMS = "/collections/sites/items"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
DATA_PATHS = (ITEMS, f"{ITEMS}/{{featureId}}")

Test = TypeVar("Test", bound=Callable[..., object])


def meets(*requirements: str) -> Callable[[Test], Test]:
    """Names the requirements of the standard that a test shows; see test_ogc_requirements.py."""

    def named(test: Test) -> Test:
        assert all(requirement.startswith("/req/") for requirement in requirements)
        return test

    return named


def epsg(code: int) -> str:
    return f"http://www.opengis.net/def/crs/EPSG/0/{code}"


class Ogc:
    """The service's /ogc, asked by a viewer unless told otherwise."""

    def __init__(self, api: Api, document: Document) -> None:
        self.api = api
        self.definition = api.client.get("/ogc/api").json()
        ours = Document(for_checks(self.definition))

        def check(response: Response) -> None:
            (ours if response.request.url.path.startswith("/ogc") else document).check(response)

        api.client.event_hooks["response"][:] = [check]

    def get(self, path: str = "", *, caller: Caller | None = None, accept: str = "*/*", **params: Any) -> Response:
        """`path` is relative to /ogc, or a link; parameters with a dash are given by a dict."""
        url = path if path.startswith("http") else f"{HOST}/ogc{path}"
        options = {"params": params} if params else {}
        return (caller or self.api.viewer).get(url, headers={"Accept": accept}, **options)

    def read(self, path: str = "", **params: Any) -> dict[str, Any]:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def found(self, **params: Any) -> list[str]:
        """The names of the sites on a page, in its order."""
        return [feature["properties"]["name"] for feature in self.read(ITEMS, **params)["features"]]

    def walk(self, path: str = ITEMS, rel: str = "next", **params: Any) -> Iterator[dict[str, Any]]:
        page = self.read(path, **params)
        yield page
        while url := href(page, rel):
            page = self.read(url)
            yield page


@contextmanager
def serving(settings: Settings, document: Document) -> Iterator[Ogc]:
    with running(settings, document) as api:
        api.client.event_hooks["response"].clear()
        yield Ogc(api, document)


def href(document: Mapping[str, Any], rel: str, media_type: str | None = None) -> str | None:
    """Where a link of that relation leads."""
    links = [link for link in document["links"] if link["rel"] == rel and media_type in {None, link["type"]}]
    return links[0]["href"] if links else None


def for_checks(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The document as the checker takes it: with whole paths, JSON Schema's null, and HTML's charset."""
    paths = {f"/ogc{path}": operations for path, operations in definition["paths"].items()}
    whole: dict[str, Any] = _modern({**definition, "paths": {**paths, "/ogc": paths["/ogc/"]}})
    return whole


def _modern(part: Any) -> Any:
    if isinstance(part, list):
        return [_modern(item) for item in part]
    if not isinstance(part, dict):
        return part
    renamed = {"text/html": "text/html; charset=utf-8"}
    made = {renamed.get(name, name): _modern(value) for name, value in part.items() if name != "nullable"}
    if part.get("nullable"):
        made["type"] = [part["type"], "null"]
    return made
