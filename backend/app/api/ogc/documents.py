"""The documents that hold no data: landing page, conformance, collections."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from app.api.answers import JSON
from app.api.ogc.links import SITES, here, items_links, landing_links, link
from app.api.ogc.negotiation import HTML
from app.schemas.crs import CRS84, SYSTEMS, WORLD

TITLE = "Landfall"
DESCRIPTION = "Sites of field operations by OGC API - Features."

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)

# The world and all time: where the sites are is for those who may read them.
EXTENT = {
    "spatial": {"bbox": [list(WORLD)], "crs": CRS84.uri},
    "temporal": {"interval": [[None, None]], "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"},
}


def landing(request: Request, media_type: str) -> dict[str, Any]:
    return {
        "title": TITLE,
        "description": DESCRIPTION,
        "links": [*_here(request, media_type), *landing_links(request)],
    }


def conformance(request: Request, media_type: str) -> dict[str, Any]:
    return {"conformsTo": list(CONFORMANCE), "links": _here(request, media_type)}


def collections(request: Request, media_type: str) -> dict[str, Any]:
    sites = _sites([link(request, SITES, rel="self", media_type=JSON, title="Sites"), *items_links(request)])
    return {
        "links": _here(request, media_type),
        "crs": list(SYSTEMS),
        "collections": [{**sites, "crs": ["#/crs"]}],
    }


def sites(request: Request, media_type: str) -> dict[str, Any]:
    return _sites([*_here(request, media_type), *items_links(request)])


def _sites(links: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": "sites",
        "title": "Sites",
        "description": "Places of work, with any type of geometry. The time of a site is its last change, updated_at.",
        "itemType": "feature",
        "extent": EXTENT,
        "crs": list(SYSTEMS),
        "storageCrs": CRS84.uri,
        "links": links,
    }


def _here(request: Request, media_type: str) -> list[dict[str, str]]:
    return here(request, media_type=media_type, others=(HTML,) if media_type == JSON else (JSON,))
