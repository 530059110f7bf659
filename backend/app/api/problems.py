"""Errors as RFC 9457 problems: the exception handlers, and how the OpenAPI document tells of them."""

from __future__ import annotations

import logging
from collections import defaultdict
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.db.session import why
from app.errors import (
    ConcurrentChangeError,
    DatabaseUnavailableError,
    LandfallError,
    MethodNotAllowedError,
    ReferenceConflictError,
    RequestInvalidError,
    RequestTimeoutError,
    RequestUnreadableError,
    RouteMissingError,
    UnavailableError,
)
from app.messages import field_problems
from app.middleware.problems import (
    MEDIA_TYPE,
    TYPE_PREFIX,
    encode,
    language_of,
    problem_headers,
    problem_response,
    url_path,
)
from app.telemetry.request_ids import request_id

MAX_FIELD_PROBLEMS = 50  # a list of a million wrong items is not answered by a million lines

_BY_SQLSTATE: dict[str | None, type[LandfallError]] = {
    "57014": RequestTimeoutError,  # statement timeout
    "55P03": RequestTimeoutError,  # lock timeout
    "25006": DatabaseUnavailableError,  # read-only: a standby, until a failover is over
    "40001": ConcurrentChangeError,  # serialization failure
    "40P01": ConcurrentChangeError,  # deadlock
}
_SQLITE_ERROR = 1  # SQLite's code for a statement that is wrong, where PostgreSQL raises a ProgrammingError

logger = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One thing that is wrong with one part of the request."""

    loc: list[str | int] = Field(description="where, from the outside in", examples=[["body", "title"]])
    type: str = Field(description="a stable name for what is wrong", examples=["missing"])
    message: str = Field(description="the same in words", examples=["Field required"])


class Problem(BaseModel):
    """Problem details by RFC 9457; some types have further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="a stable URI for this kind of problem", json_schema_extra={"format": "uri"})
    title: str = Field(description="this kind of problem in words")
    status: int = Field(description="the HTTP status", ge=400, le=599)
    detail: str = Field(description="what happened here, and what to do")
    instance: str = Field(description="the request's path", json_schema_extra={"format": "uri-reference"})
    request_id: str | None = Field(description="the id to quote; also in X-Request-ID")
    errors: list[FieldError] = Field([], description="what is wrong with which part of the request")


_HTTP_ERRORS: dict[int, type[LandfallError]] = {
    error.status: error for error in (RequestUnreadableError, RouteMissingError, MethodNotAllowedError)
}


async def _on_landfall_error(request: Request, error: LandfallError) -> Response:
    if error.__cause__ is not None:
        logger.warning("%s: %s", error.type, why(error))
    return problem_response(error, request.scope)


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """List what is wrong and where, and never the input: it may be a password."""
    problems = field_problems(error.errors()[:MAX_FIELD_PROBLEMS], language_of(request.scope))
    return problem_response(RequestInvalidError(errors=problems), request.scope)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed_methods(request) or headers.get("Allow", "")
    if known := _HTTP_ERRORS.get(error.status_code):
        return problem_response(known(headers=headers), request.scope)
    if error.status_code < HTTPStatus.BAD_REQUEST:
        return Response(status_code=error.status_code, headers=headers)
    status = HTTPStatus(error.status_code)
    members = {
        "type": "about:blank",  # RFC 9457, section 4.2.1: the status says it all
        "title": status.phrase,
        "status": status.value,
        "detail": status.description or status.phrase,
        "instance": url_path(request.scope),
        "request_id": request_id.get(),
    }
    return Response(encode(members), status.value, headers={**problem_headers("en"), **headers}, media_type=MEDIA_TYPE)


def _allowed_methods(request: Request) -> str:
    """The methods of every route with this path; the router itself names those of the first one only."""
    routes = iter_route_contexts(request.app.routes)
    path = request.scope["path"]
    matching = (r for r in routes if (regex := getattr(r, "path_regex", None)) is not None and regex.match(path))
    return ", ".join(sorted({method for route in matching for method in route.methods or ()}))


async def _on_database_error(request: Request, error: SQLAlchemyError) -> Response:
    """Answer what passes by itself, or what the client can repair; raises the error again where it is a bug of ours."""
    translated = _translate_database_error(error)
    if translated is None:
        raise error
    origin = error.orig if isinstance(error, DBAPIError) else error
    constraint = getattr(getattr(origin, "diag", None), "constraint_name", None)
    # Only the first line, and of a violated constraint only its name: the rest quotes the row.
    reason = constraint or ("" if isinstance(error, IntegrityError) else (str(origin).splitlines() or [""])[0])
    logger.warning("database error %s answered as %s: %s", type(error).__name__, translated.type, reason)
    return problem_response(translated(), request.scope)


def _translate_database_error(error: SQLAlchemyError) -> type[LandfallError] | None:
    if not isinstance(error, DBAPIError):
        by_class = {StaleDataError: ConcurrentChangeError, PoolTimeoutError: DatabaseUnavailableError}
        return by_class.get(type(error))
    if by_state := _BY_SQLSTATE.get(getattr(error.orig, "pgcode", None)):
        return by_state
    if isinstance(error, IntegrityError):
        return ReferenceConflictError
    is_bug = getattr(error.orig, "sqlite_errorcode", None) == _SQLITE_ERROR
    is_away = error.connection_invalidated or (isinstance(error, OperationalError | InterfaceError) and not is_bug)
    return DatabaseUnavailableError if is_away else None


def install(app: FastAPI) -> None:
    """Answer every error as a problem, and put the schema of problems into the OpenAPI document."""
    app.exception_handlers |= {
        LandfallError: _on_landfall_error,
        RequestValidationError: _on_invalid_request,
        HTTPException: _on_http_exception,
        SQLAlchemyError: _on_database_error,
    }
    plain_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe_problems(plain_openapi())
        return plain_openapi()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _describe_problems(document: dict[str, Any]) -> None:
    """Add the schemas, and put our own 422 in place of the one that FastAPI gives each route with parameters."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs"))
    schemas["Problem"] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    ours = problem_responses(RequestInvalidError)[422]
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation.get("responses", {}) if isinstance(operation, dict) else {}
            if "application/json" in responses.get("422", {}).get("content", {}):
                responses["422"] = ours


def problem_responses(*errors: type[LandfallError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can end in these errors, with an example each; one entry a status."""
    by_status: dict[int, list[type[LandfallError]]] = defaultdict(list)
    for error in errors:
        by_status[error.status].append(error)
    return {status: _response(classes) for status, classes in sorted(by_status.items())}


def _response(classes: list[type[LandfallError]]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {error.type: {"summary": error.title, "value": _example(error)} for error in classes},
    }
    response: dict[str, Any] = {
        "description": ". ".join(dict.fromkeys(error.title for error in classes)) + ".",
        "content": {MEDIA_TYPE: content},
    }
    if any(issubclass(error, UnavailableError) or error.status == HTTPStatus.TOO_MANY_REQUESTS for error in classes):
        seconds = {"type": "integer", "minimum": 0}
        response["headers"] = {"Retry-After": {"description": "seconds to wait", "schema": seconds}}
    return response


class _Samples(defaultdict[str, Any]):
    """Values for the placeholders of a detail; a new one without a sample shows as dots."""

    def __missing__(self, key: str) -> str:
        return "…"


_SAMPLES = _Samples(
    None,
    noun="site",
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    field="external_id",
    version=3,
    role="editor",
    own_role="viewer",
    limit=2 * 1024**2,
    expected="application/json",
)


def _example(error: type[LandfallError]) -> dict[str, Any]:
    seconds = error.retry_after_seconds if issubclass(error, UnavailableError) else 30
    example = {
        "type": TYPE_PREFIX + error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail.format_map(_Samples(None, {**_SAMPLES, "seconds": seconds})),
        "instance": "/api/v1/sites",
        "request_id": "5f1d7a52c0c64c0c8f6ab6a2d0a8e7b1",
    }
    if "see errors" in error.detail:
        example["errors"] = [{"loc": ["body", "name"], "type": "missing", "message": "Field required"}]
    return example
