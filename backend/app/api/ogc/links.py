"""Links between the documents: absolute, by the host and scheme that the client uses."""

from __future__ import annotations

from fastapi import Request

from app.api.answers import GEOJSON, JSON
from app.api.ogc.negotiation import HTML

ROOT = "/ogc"
COLLECTIONS = f"{ROOT}/collections"
SITES = f"{COLLECTIONS}/sites"
ITEMS = f"{SITES}/items"
QUERYABLES = f"{SITES}/queryables"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
FORMATS = {HTML: "html"}  # by the media type; whatever else is JSON of some kind

Link = dict[str, str]


def link(request: Request, path: str, *, rel: str, media_type: str, title: str) -> Link:
    return {"href": f"{origin(request)}{path}", "rel": rel, "type": media_type, "title": title}


def origin(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def here(request: Request, *, media_type: str, others: tuple[str, ...]) -> list[Link]:
    """The document itself and the same in its other media types."""
    url = request.url
    links = [{"href": str(url), "rel": "self", "type": media_type, "title": "This document"}]
    links += [
        {
            "href": str(url.include_query_params(f=FORMATS.get(other, "json"))),
            "rel": "alternate",
            "type": other,
            "title": f"This document as {other}",
        }
        for other in others
    ]
    return links


def items_links(request: Request) -> list[Link]:
    return [
        link(request, ITEMS, rel="items", media_type=GEOJSON, title="The sites as GeoJSON"),
        link(request, f"{ITEMS}?f=html", rel="items", media_type=HTML, title="The sites as pages"),
    ]


def queryables_link(request: Request) -> Link:
    relation = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
    return link(request, QUERYABLES, rel=relation, media_type=SCHEMA, title="What filters may name")


def landing_links(request: Request) -> list[Link]:
    return [
        link(request, f"{ROOT}/api", rel="service-desc", media_type=OPENAPI, title="The API's definition"),
        link(request, f"{ROOT}/api.html", rel="service-doc", media_type=HTML, title="The API's documentation"),
        link(request, f"{ROOT}/conformance", rel="conformance", media_type=JSON, title="What this conforms to"),
        link(request, COLLECTIONS, rel="data", media_type=JSON, title="The collections"),
    ]
