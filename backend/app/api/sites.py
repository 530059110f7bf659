from __future__ import annotations

import uuid
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.answers import (
    CHANGING,
    CREATING,
    DELETING,
    ETAG_HEADER,
    GEOJSON,
    LISTING,
    LOCATION_HEADER,
    READING,
    GeoJsonResponse,
    documented,
    page,
    resource,
)
from app.deps import DbSession, Editor, IfMatchHeader, OnceHeader, ViewerReads, require_json
from app.errors import ConflictError, FilterInvalidError, GeometryInvalidError, NotOnSqliteError
from app.schemas.site import SiteListQuery, SiteOut, SitePage, SitePatch, SiteWrite
from app.services import sites as service

router = APIRouter(prefix="/sites", tags=["sites"])

OPENING = '{"type":"FeatureCollection","features":['


@router.get(
    "",
    response_model=SitePage,
    response_class=GeoJsonResponse,
    responses=documented(*LISTING, FilterInvalidError, NotOnSqliteError),
    summary="List sites",
)
async def list_sites(request: Request, query: Annotated[SiteListQuery, Query()], reads: ViewerReads) -> Response:
    return await reads(
        lambda database, _: page(service.list_sites(database, query), request, media_type=GEOJSON, opening=OPENING),
        before=partial(service.wanted, query) if query.filter is not None else None,
    )


@router.post(
    "",
    status_code=201,
    response_model=SiteOut,
    response_class=GeoJsonResponse,
    responses=documented(
        *CREATING, ConflictError, GeometryInvalidError, status=201, headers=ETAG_HEADER | LOCATION_HEADER
    ),
    dependencies=[Depends(require_json)],
    summary="Create a site",
)
def create_site(request: Request, body: SiteWrite, session: DbSession, actor: Editor, key: OnceHeader) -> Response:
    return resource(service.create_site(session, body, actor=actor, key=key), request, status=201, media_type=GEOJSON)


@router.get(
    "/{site_id}",
    response_model=SiteOut,
    response_class=GeoJsonResponse,
    responses=documented(*READING, headers=ETAG_HEADER, not_modified=True),
    summary="Read a site",
)
async def read_site(request: Request, site_id: uuid.UUID, reads: ViewerReads) -> Response:
    return await reads(lambda database, _: resource(service.read_site(database, site_id), request, media_type=GEOJSON))


@router.put(
    "/{site_id}",
    response_model=SiteOut,
    response_class=GeoJsonResponse,
    responses=documented(*CHANGING, ConflictError, GeometryInvalidError, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Replace a site",
)
def replace_site(
    request: Request, site_id: uuid.UUID, body: SiteWrite, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    changed = service.change_site(session, site_id, body, actor=actor, if_match=if_match)
    return resource(changed, request, media_type=GEOJSON)


@router.patch(
    "/{site_id}",
    response_model=SiteOut,
    response_class=GeoJsonResponse,
    responses=documented(*CHANGING, ConflictError, GeometryInvalidError, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Change a site",
)
def patch_site(
    request: Request, site_id: uuid.UUID, body: SitePatch, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    changed = service.change_site(session, site_id, body, actor=actor, if_match=if_match)
    return resource(changed, request, media_type=GEOJSON)


@router.delete("/{site_id}", status_code=204, responses=documented(*DELETING), summary="Delete a site")
def delete_site(site_id: uuid.UUID, session: DbSession, actor: Editor, if_match: IfMatchHeader) -> None:
    service.delete_site(session, site_id, actor=actor, if_match=if_match)
