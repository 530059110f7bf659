"""Exports of sites as jobs."""

from __future__ import annotations

import json
import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.answers import CREATING, JSON, LISTING, LOCATION_HEADER, READING, WRITING, documented, page
from app.deps import DbSession, Exports, OnceHeader, Viewer, ViewerReads, require_json
from app.errors import FilterInvalidError, FormatUnavailableError, NotOnSqliteError, TooManyExportsError
from app.schemas.site_export import (
    SiteExportCreate,
    SiteExportLinked,
    SiteExportListQuery,
    SiteExportOut,
    SiteExportPage,
)

router = APIRouter(prefix="/sites/exports", tags=["sites"])


@router.post(
    "",
    status_code=202,
    response_model=SiteExportOut,
    responses=documented(
        *CREATING,
        FilterInvalidError,
        FormatUnavailableError,
        NotOnSqliteError,
        TooManyExportsError,
        status=202,
        headers=LOCATION_HEADER,
    ),
    dependencies=[Depends(require_json)],
    summary="Ask for an export",
)
def create_export(
    request: Request,
    body: SiteExportCreate,
    session: DbSession,
    actor: Viewer,
    key: OnceHeader,
    exports: Exports,
) -> Response:
    """A file that is written behind the request: read the job until it is available, then download it by its URL."""
    made = exports.jobs.create(session, body, actor=actor, key=key)
    exports.wake()
    location = f"{request.url.path.rstrip('/')}/{made.id}"
    return Response(made.json, status_code=202, media_type=JSON, headers={"Location": location})


@router.get("", response_model=SiteExportPage, responses=documented(*LISTING), summary="List exports")
async def list_exports(
    request: Request, query: Annotated[SiteExportListQuery, Query()], reads: ViewerReads, exports: Exports
) -> Response:
    """One's own; to an administrator, all."""
    return await reads(lambda database, actor: page(exports.jobs.list(database, query, actor=actor), request))


@router.get("/{export_id}", response_model=SiteExportLinked, responses=documented(*READING), summary="Read an export")
async def read_export(export_id: uuid.UUID, reads: ViewerReads, exports: Exports) -> Response:
    found, download = await reads(lambda database, actor: exports.jobs.read(database, export_id, actor=actor))
    link = {
        "url": download and download.url,
        "url_expires_at": download and download.expires_at.isoformat(),
    }
    return Response(f"{found.json[:-1]},{json.dumps(link)[1:]}", media_type=JSON, headers={"Cache-Control": "no-store"})


@router.delete(
    "/{export_id}", status_code=204, responses=documented(*READING, *WRITING), summary="Delete an export and its file"
)
def delete_export(export_id: uuid.UUID, session: DbSession, actor: Viewer, exports: Exports) -> None:
    exports.jobs.delete(session, export_id, actor=actor)
    exports.drop(export_id)
