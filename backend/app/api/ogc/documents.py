"""The documents that hold no data: landing page, conformance, collections."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from app.api.answers import JSON
from app.api.ogc.links import (
    QUERYABLES,
    SCHEMA,
    SITES,
    here,
    items_links,
    landing_links,
    link,
    origin,
    queryables_link,
)
from app.api.ogc.negotiation import HTML
from app.schemas.crs import CRS84, SYSTEMS, WORLD
from app.services import cql2

TITLE = "Landfall"
DESCRIPTION = "Sites of field operations by OGC API - Features."

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/create-replace-delete",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/update",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/optimistic-locking-etags",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/features",
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
    filters = cql2.conformance(is_postgresql=request.app.state.database.is_postgresql)
    return {"conformsTo": [*CONFORMANCE, *filters], "links": _here(request, media_type)}


def collections(request: Request, media_type: str) -> dict[str, Any]:
    alone = link(request, SITES, rel="self", media_type=JSON, title="Sites")
    sites = _sites([alone, *items_links(request), queryables_link(request)])
    return {
        "links": _here(request, media_type),
        "crs": list(SYSTEMS),
        "collections": [{**sites, "crs": ["#/crs"]}],
    }


def sites(request: Request, media_type: str) -> dict[str, Any]:
    return _sites([*_here(request, media_type), *items_links(request), queryables_link(request)])


def queryables(request: Request) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{origin(request)}{QUERYABLES}",
        "type": "object",
        "title": "Sites",
        "properties": {name: dict(queryable.schema) for name, queryable in cql2.QUERYABLES.items()},
        "additionalProperties": False,
    }


def queryables_page(request: Request) -> dict[str, Any]:
    return {**queryables(request), "links": here(request, media_type=HTML, others=(SCHEMA,))}


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
