"""Responses from JSON text, and what the OpenAPI document says of them."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from app.api.problems import problem_responses
from app.deps import ETAG
from app.errors import (
    BodyTooLargeError,
    ConcurrentChangeError,
    CursorInvalidError,
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    LandfallError,
    MediaTypeUnsupportedError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ReferenceConflictError,
    ReferenceInvalidError,
    RequestInvalidError,
    RequestTimeoutError,
    RequestUnreadableError,
    TokenInvalidError,
    VersionMismatchError,
)
from app.queries.json_rows import Answer
from app.queries.paging import Rows

REFUSED = re.compile(r"q\s*=\s*0(\.0*)?")
JSON = "application/json"
GEOJSON = "application/geo+json"


class GeoJsonResponse(JSONResponse):
    """Names the media type to the OpenAPI document; what is sent is made by `resource` and `page`."""

    media_type = GEOJSON


ErrorType = type[LandfallError]
ALWAYS: tuple[ErrorType, ...] = (
    RequestInvalidError,
    OverloadedError,
    DatabaseUnavailableError,
    RequestTimeoutError,
    LandfallError,
)
GUARDED = (*ALWAYS, TokenInvalidError, PermissionDeniedError)
LISTING = (*GUARDED, CursorInvalidError)
READING = (*GUARDED, NotFoundError)
BODY = (RequestUnreadableError, BodyTooLargeError, MediaTypeUnsupportedError)
WRITING = (ConcurrentChangeError, ReferenceConflictError)
CREATING = (*GUARDED, *BODY, *WRITING, IdempotencyKeyReusedError, ReferenceInvalidError)
CHANGING = (*READING, *BODY, *WRITING, VersionMismatchError, ReferenceInvalidError)
DELETING = (*READING, *WRITING, VersionMismatchError)

ETAG_HEADER = {"ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}}}
LOCATION_HEADER = {"Location": {"description": "Where it is.", "schema": {"type": "string", "format": "uri-reference"}}}


def documented(
    *errors: ErrorType, status: int = 200, headers: dict[str, Any] | None = None, not_modified: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: its headers when all is well, and every error."""
    responses = problem_responses(*errors)
    if headers:
        responses[status] = {"headers": headers}
    if not_modified:
        responses[304] = {"description": "The client's copy is the current one.", "headers": ETAG_HEADER}
    return responses


def resource(
    answer: Answer, request: Request, *, status: int = 200, media_type: str = JSON, extra: str = ""
) -> Response:
    """One resource with its ETag; 304 where the client has it, and Location where it is new.

    `extra` is JSON text of further members: `,"upload":{…}`.
    """
    headers = {"ETag": f'"{answer.version}"'}
    if request.method in {"GET", "HEAD"} and _client_has(request, answer.version):
        return Response(status_code=304, headers=headers)
    if status == 201:  # noqa: PLR2004
        headers["Location"] = f"{request.url.path.rstrip('/')}/{answer.id}"
    text = f"{answer.json[:-1]}{extra}}}" if extra else answer.json
    return Response(text, status_code=status, media_type=media_type, headers=headers)


def page(rows: Rows, request: Request, *, media_type: str = JSON, opening: str = '{"items":[') -> Response:
    """A page with the URLs of its neighbours, which keep every parameter of the request."""

    def link(cursor: str | None) -> str | None:
        return str(request.url.include_query_params(cursor=cursor)) if cursor else None

    closing = json.dumps({"next": link(rows.next), "prev": link(rows.prev), "count": rows.count})
    return Response(f"{opening}{rows.text}],{closing[1:]}", media_type=media_type)


def takes_gzip(request: Request) -> bool:
    """RFC 9110, section 12.5.3; of the wildcard no use is made."""
    for coding in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, parameters = coding.partition(";")
        if name.strip() == "gzip":
            return REFUSED.fullmatch(parameters.strip()) is None
    return False


def _client_has(request: Request, version: int) -> bool:
    condition = request.headers.get("if-none-match")
    if condition is None:
        return False
    # A GET compares weakly (RFC 9110, section 13.1.2).
    return condition.strip() == "*" or any(tag == str(version) for _, tag in ETAG.findall(condition))
