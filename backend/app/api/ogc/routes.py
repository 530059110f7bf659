"""The addresses of OGC API - Features; their OpenAPI document is their own, see `app.api.ogc.openapi`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.api.answers import GEOJSON, JSON, resource
from app.api.ogc import documents, features, openapi, pages
from app.api.ogc.links import COLLECTIONS, ITEMS, OPENAPI, ROOT, SITES
from app.api.ogc.negotiation import HTML, parameters, wants_html
from app.db.types import Database
from app.deps import ViewerReads
from app.errors import NotFoundError
from app.schemas.common import Input
from app.schemas.crs import Crs
from app.schemas.feature import DocumentQuery, FeatureListQuery, FeatureQuery
from app.services import features as service
from app.services.changes import Actor

router = APIRouter(include_in_schema=False)

VARY = {"Vary": "Accept, Accept-Language"}


@router.get(ROOT)
@router.get(f"{ROOT}/")
async def read_landing_page(request: Request) -> Response:
    return _document(request, documents.landing, page="landing")


@router.get(f"{ROOT}/conformance")
async def read_conformance(request: Request) -> Response:
    return _document(request, documents.conformance, page="conformance")


@router.get(f"{ROOT}/api")
async def read_definition(request: Request) -> Response:
    query = parameters(request, DocumentQuery)
    if wants_html(request, query, OPENAPI, JSON):
        return pages.render("api", request, openapi.document(request))
    return JSONResponse(openapi.document(request), media_type=OPENAPI, headers=VARY)


@router.get(f"{ROOT}/api.html")
async def read_documentation(request: Request) -> Response:
    parameters(request, Input)  # it takes none
    return pages.render("api", request, openapi.document(request))


@router.get(COLLECTIONS)
async def list_collections(request: Request) -> Response:
    return _document(request, documents.collections, page="collections")


@router.get(SITES)
async def read_collection(request: Request) -> Response:
    return _document(request, documents.sites, page="collection")


@router.get(ITEMS)
async def list_features(request: Request, reads: ViewerReads) -> Response:
    def read(database: Database, _: Actor) -> Response:
        query = parameters(request, FeatureListQuery)
        as_html = wants_html(request, query, GEOJSON, JSON)
        rows = service.list_features(database, query)
        if as_html:
            return _in(query.crs, pages.render("items", request, features.page_of_features(rows, request)))
        return _in(query.crs, Response(features.collection_text(rows, request), media_type=GEOJSON, headers=VARY))

    return await reads(read)


@router.get(f"{ITEMS}/{{feature_id}}")
async def read_feature(request: Request, feature_id: str, reads: ViewerReads) -> Response:
    def read(database: Database, _: Actor) -> Response:
        query = parameters(request, FeatureQuery)
        as_html = wants_html(request, query, GEOJSON, JSON)
        answer = service.read_feature(database, _id(feature_id), crs=query.crs)
        if as_html:
            return _in(query.crs, pages.render("item", request, features.feature(answer, request)))
        response = resource(answer, request, media_type=GEOJSON, extra=features.links_member(request))
        response.headers.update(VARY)
        return _in(query.crs, response)

    return await reads(read)


def _document(request: Request, make: Callable[[Request, str], dict[str, Any]], *, page: str) -> Response:
    if wants_html(request, parameters(request, DocumentQuery), JSON):
        return pages.render(page, request, make(request, HTML))
    return JSONResponse(make(request, JSON), headers=VARY)


def _in(crs: Crs, response: Response) -> Response:
    response.headers["Content-Crs"] = f"<{crs.uri}>"
    return response


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFoundError(noun="site", id=text) from None
