"""The addresses of OGC API - Features; their OpenAPI document is their own, see `app.api.ogc.openapi`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from app.api.answers import GEOJSON, JSON, resource
from app.api.ogc import documents, features, openapi, pages
from app.api.ogc.links import COLLECTIONS, ITEMS, OPENAPI, QUERYABLES, ROOT, SCHEMA, SITES
from app.api.ogc.negotiation import HTML, VARY, parameters, site_id, wants_html
from app.db.types import Database
from app.deps import viewer_reads
from app.schemas.common import Input
from app.schemas.crs import Crs
from app.schemas.feature import DocumentQuery, FeatureListQuery, FeatureQuery
from app.services import features as service
from app.services.changes import Actor

Answered = Response | Callable[[], Response]


async def read_landing_page(request: Request) -> Response:
    return _document(request, documents.landing, page="landing")


async def read_conformance(request: Request) -> Response:
    return _document(request, documents.conformance, page="conformance")


async def read_definition(request: Request) -> Response:
    query = parameters(request, DocumentQuery)
    if wants_html(request, query, OPENAPI, JSON):
        return pages.render("api", request, openapi.document(request))
    return JSONResponse(openapi.document(request), media_type=OPENAPI, headers=VARY)


async def read_documentation(request: Request) -> Response:
    parameters(request, Input)  # it takes none
    return pages.render("api", request, openapi.document(request))


async def list_collections(request: Request) -> Response:
    return _document(request, documents.collections, page="collections")


async def read_collection(request: Request) -> Response:
    return _document(request, documents.sites, page="collection")


async def read_queryables(request: Request) -> Response:
    if wants_html(request, parameters(request, DocumentQuery), SCHEMA, JSON):
        return pages.render("queryables", request, documents.queryables_page(request))
    return JSONResponse(documents.queryables(request), media_type=SCHEMA, headers=VARY)


async def list_features(request: Request) -> Response:
    def read(database: Database, _: Actor) -> Answered:
        query = parameters(request, FeatureListQuery)
        as_html = wants_html(request, query, GEOJSON, JSON)
        rows = service.list_features(database, query)
        if as_html:
            return lambda: _in(query.crs, pages.render("items", request, features.page_of_features(rows, request)))
        return _in(query.crs, Response(features.collection_text(rows, request), media_type=GEOJSON, headers=VARY))

    def prepare() -> None:
        service.compiled(parameters(request, FeatureListQuery))

    return await _answer(request, read, before=prepare if "filter" in request.query_params else None)


async def read_feature(request: Request) -> Response:
    def read(database: Database, _: Actor) -> Answered:
        query = parameters(request, FeatureQuery)
        as_html = wants_html(request, query, GEOJSON, JSON)
        answer = service.read_feature(database, site_id(request.path_params["feature_id"]), crs=query.crs)
        if as_html:
            return lambda: _in(query.crs, pages.render("item", request, features.feature(answer, request)))
        response = resource(answer, request, media_type=GEOJSON, extra=features.links_member(request))
        response.headers.update(VARY)
        return _in(query.crs, response)

    return await _answer(request, read)


async def _answer(
    request: Request, read: Callable[[Database, Actor], Answered], *, before: Callable[[], None] | None = None
) -> Response:
    """Pages are rendered when the read is over: that takes long, and needs no connection."""
    answered = await viewer_reads(request)(read, before=before)
    return answered if isinstance(answered, Response) else await run_in_threadpool(answered)


def _document(request: Request, make: Callable[[Request, str], dict[str, Any]], *, page: str) -> Response:
    if wants_html(request, parameters(request, DocumentQuery), JSON):
        return pages.render(page, request, make(request, HTML))
    return JSONResponse(make(request, JSON), headers=VARY)


def _in(crs: Crs, response: Response) -> Response:
    response.headers["Content-Crs"] = f"<{crs.uri}>"
    return response


class _Route(Route):
    """Not FastAPI's: its look-up of parameters would cost a page of features a fifth of its time."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self}  # for the log and the metrics


ROUTES: list[BaseRoute] = [
    _Route(ITEMS, list_features),
    _Route(f"{ITEMS}/{{feature_id}}", read_feature),
    _Route(ROOT, read_landing_page),
    _Route(f"{ROOT}/", read_landing_page),
    _Route(f"{ROOT}/conformance", read_conformance),
    _Route(f"{ROOT}/api", read_definition),
    _Route(f"{ROOT}/api.html", read_documentation),
    _Route(COLLECTIONS, list_collections),
    _Route(SITES, read_collection),
    _Route(QUERYABLES, read_queryables),
]
