"""The OpenAPI document of OGC API - Features: 3.0, as its conformance class asks, where FastAPI writes 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from fastapi import Request

from app.api.answers import GEOJSON, JSON
from app.api.health import VERSION
from app.api.ogc import openapi_writes, schemas
from app.api.ogc.documents import DESCRIPTION, TITLE
from app.api.ogc.links import OPENAPI, ROOT, SCHEMA, origin
from app.api.ogc.negotiation import HTML
from app.api.ogc.openapi_writes import CONTENT_CRS, ETAG, parameter
from app.api.problems import problem_responses
from app.errors import (
    CrsOutOfRangeError,
    DatabaseUnavailableError,
    FilterInvalidError,
    LandfallError,
    NotAcceptableError,
    NotFoundError,
    NotOnSqliteError,
    OverloadedError,
    ParameterInvalidError,
    RequestTimeoutError,
    TokenInvalidError,
)
from app.schemas.crs import CRS84, FILTER_SYSTEMS, SYSTEMS
from app.schemas.feature import MAX_LIMIT
from app.services.cql2 import QUERYABLES, FilterLang

Part = dict[str, Any]

PUBLIC_ERRORS = (ParameterInvalidError, NotAcceptableError, OverloadedError, RequestTimeoutError, LandfallError)
DATA_ERRORS = (*PUBLIC_ERRORS, TokenInvalidError, CrsOutOfRangeError, NotOnSqliteError, DatabaseUnavailableError)


def document(request: Request) -> Part:
    writes = openapi_writes.operations()
    return {
        "openapi": "3.0.3",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": VERSION},
        "servers": [{"url": f"{origin(request)}{ROOT}"}],
        "tags": [{"name": "Documents"}, {"name": "Features"}],
        "paths": {path: {"get": operation, **writes.get(path, {})} for path, operation in _operations().items()},
        "components": {
            "schemas": schemas.SCHEMAS,
            "parameters": PARAMETERS | openapi_writes.HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token from /api/v1/auth/token of the same host.",
                }
            },
        },
    }


def _operations() -> dict[str, Part]:
    items = {
        **_data(
            "getFeatures",
            "The sites, a page at a time",
            "FeatureCollection",
            ITEMS_PARAMETERS,
            errors=(FilterInvalidError,),
        ),
        "description": "In the order of their making. The time of a site is its last change, updated_at.",
    }
    item = _data("getFeature", "One site", "Feature", ("featureId", "crs", "f"), errors=(NotFoundError,))
    item["responses"]["304"] = {"description": "The client's copy is the current one.", "headers": ETAG | CONTENT_CRS}
    return {
        "/": _document("getLandingPage", "The landing page", "LandingPage"),
        "/conformance": _document("getConformance", "The conformance classes", "Conformance"),
        "/api": _operation("getDefinition", "This document", {OPENAPI: {"schema": {"type": "object"}}, HTML: PAGE}),
        "/api.html": _operation("getDocumentation", "The same for people", {HTML: PAGE}, ()),
        "/collections": _document("getCollections", "The collections", "Collections"),
        "/collections/sites": _document("getCollection", "The collection of sites", "Collection"),
        "/collections/sites/queryables": _operation(
            "getQueryables", "What filters may name", {SCHEMA: _schema("Queryables"), HTML: PAGE}
        ),
        "/collections/sites/items": items,
        "/collections/sites/items/{featureId}": item,
    }


PAGE: Part = {"schema": {"type": "string"}}


def _document(name: str, summary: str, schema: str) -> Part:
    return _operation(name, summary, {JSON: _schema(schema), HTML: PAGE})


def _data(
    name: str,
    summary: str,
    schema: str,
    parameters: tuple[str, ...],
    *,
    errors: tuple[type[LandfallError], ...] = (),
) -> Part:
    operation = _operation(
        name, summary, {GEOJSON: _schema(schema), HTML: PAGE}, parameters, errors=(*DATA_ERRORS, *errors)
    )
    operation["responses"]["200"]["headers"] = CONTENT_CRS
    return {**operation, "tags": ["Features"], "security": [{"bearer": []}]}


def _operation(
    name: str,
    summary: str,
    content: Part,
    parameters: tuple[str, ...] = ("f",),
    *,
    errors: tuple[type[LandfallError], ...] = PUBLIC_ERRORS,
) -> Part:
    problems = {str(status): response for status, response in problem_responses(*errors).items()}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["Documents"],
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in parameters],
        "responses": {"200": {"description": summary, "content": content}, **problems},
    }


def _schema(name: str) -> Part:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _system(name: str, description: str, systems: Iterable[str] = SYSTEMS) -> Part:
    return parameter(name, description, format="uri", enum=list(systems), default=CRS84.uri)


# Each property with a simple value is a parameter too.
SIMPLE = {name: queryable.schema for name, queryable in QUERYABLES.items() if "type" in queryable.schema}
ITEMS_PARAMETERS = (
    "limit", "cursor", "count", "bbox", "bbox-crs", "crs", "datetime", "filter", "filter-lang", "filter-crs", *SIMPLE,
    "f",
)  # fmt: skip
_PARAMETERS: tuple[Part, ...] = (
    parameter(
        "limit",
        "Sites in a page; more than the maximum are the maximum.",
        type="integer",
        minimum=1,
        maximum=MAX_LIMIT,
        default=100,
    ),
    parameter("cursor", "Where the page starts: follow the links next and prev.", maxLength=2000),
    parameter(
        "count",
        "Whether numberMatched is given: estimated is the planner's guess, and quick.",
        enum=["none", "estimated", "exact"],
        default="none",
    ),
    parameter(
        "bbox",
        "Sites that meet this box: the lower corner, then the upper, in the order of the system's axes. "
        "Of six numbers the third and the sixth, heights, are passed over. In degrees a western side that is "
        "greater than the eastern one crosses the antimeridian. What is beyond the system's bounds is cut off.",
        type="array",
        minItems=4,
        maxItems=6,
        items={"type": "number"},
    ),
    _system("bbox-crs", "The system of the box."),
    _system("crs", "The system of the coordinates in the answer."),
    parameter(
        "datetime",
        "Sites whose last change (updated_at) was at this time, or within this interval, of which one end may "
        "be open: `2026-11-30T08:00:00Z`, `2026-11-30T08:00:00Z/..`.",
    ),
    parameter(
        "filter",
        "Sites for which this condition in CQL2 is true; it may name the properties that /collections/sites/queryables "
        "lists: `kind = 'pump' AND updated_at > DATE('2026-11-30')`.",
    ),
    parameter(
        "filter-lang",
        "The filter's encoding.",
        enum=list(get_args(FilterLang)),
        default="cql2-text",
    ),
    _system("filter-crs", "The system of the coordinates in the filter.", FILTER_SYSTEMS),
    *(parameter(name, f"Sites with this {name}.", **schema) for name, schema in SIMPLE.items()),
    parameter("f", "The answer's format; wins over Accept.", enum=["json", "html"]),
    parameter("featureId", "The site's id.", where="path"),
)
PARAMETERS = {str(each["name"]): each for each in _PARAMETERS}
