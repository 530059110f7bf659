"""OGC API - Features, Part 4: sites made, replaced, changed and deleted by the services of `app.api.sites`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from app.api.answers import GEOJSON, resource
from app.api.ogc.links import ITEMS
from app.api.ogc.negotiation import parameters, site_id
from app.deps import DbSession, Editor, IfMatchHeader, OnceHeader, Viewer, require_json
from app.errors import FieldProblem, NotFoundError, NothingMatchesError, ParameterInvalidError
from app.models import UserRole
from app.queries.json_rows import Answer
from app.schemas.common import Input
from app.schemas.crs import CRS84
from app.schemas.feature import FeaturePatch, FeatureWrite
from app.schemas.site import SitePatch, SiteWrite
from app.services import sites as service
from app.services.auth import may
from app.services.changes import Actor, IfMatch

CONTENT_CRS_FOREIGN = "Coordinates are taken as longitude and latitude: leave the header out, or say {known}."


async def _check_parameters(request: Request) -> None:
    """Raises `ParameterInvalidError` for any in the query, and for coordinates in another system."""
    parameters(request, Input)
    system = request.headers.get("content-crs", CRS84.uri).removeprefix("<").removesuffix(">")
    if system != CRS84.uri:
        problem = FieldProblem(
            loc=("header", "Content-Crs"),
            type="crs_unknown",
            message=CONTENT_CRS_FOREIGN,
            params={"known": CRS84.uri},
        )
        raise ParameterInvalidError(errors=[problem])


# Told of in `app.api.ogc.openapi_writes`.
router = APIRouter(prefix=ITEMS, include_in_schema=False, dependencies=[Depends(_check_parameters)])


@router.post("", dependencies=[Depends(require_json)])
def create_feature(
    request: Request, body: FeatureWrite, session: DbSession, actor: Editor, key: OnceHeader
) -> Response:
    return _feature(service.create_site(session, body, actor=actor, key=key), request, status=201)


@router.put("/{feature_id}", dependencies=[Depends(require_json)])
def replace_feature(
    request: Request, feature_id: str, body: FeatureWrite, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    return _change(request, feature_id, body, session, actor=actor, if_match=if_match)


@router.patch("/{feature_id}", dependencies=[Depends(require_json)])
def update_feature(
    request: Request, feature_id: str, body: FeaturePatch, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    return _change(request, feature_id, body, session, actor=actor, if_match=if_match)


@router.delete("/{feature_id}", status_code=204)
def delete_feature(
    request: Request, feature_id: str, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> None:
    with _nothing_matches(request):
        service.delete_site(session, site_id(feature_id), actor=actor, if_match=if_match)


@router.options("")
async def list_methods(actor: Viewer) -> Response:
    return _allowed(actor, "POST")


@router.options("/{_feature_id}")
async def list_feature_methods(_feature_id: str, actor: Viewer) -> Response:
    return _allowed(actor, "DELETE", "PATCH", "PUT")


def _allowed(actor: Actor, *writing: str) -> Response:
    """The methods that the one who asks may use."""
    methods = ["GET", "HEAD", "OPTIONS", *(writing if may(actor, UserRole.EDITOR) else ())]
    return Response(headers={"Allow": ", ".join(sorted(methods))})


def _change(
    request: Request, feature_id: str, body: SiteWrite | SitePatch, session: Session, *, actor: Actor, if_match: IfMatch
) -> Response:
    with _nothing_matches(request):
        changed = service.change_site(session, site_id(feature_id), body, actor=actor, if_match=if_match)
        return _feature(changed, request)


@contextmanager
def _nothing_matches(request: Request) -> Iterator[None]:
    """What is not there has no version to match: 412 by Part 4 and RFC 9110, section 13.1.1, and not 404."""
    try:
        yield
    except NotFoundError as error:
        if "if-match" in request.headers:
            raise NothingMatchesError(**error.params) from None
        raise


def _feature(answer: Answer, request: Request, *, status: int = 200) -> Response:
    response = resource(answer, request, status=status, media_type=GEOJSON)
    response.headers["Content-Crs"] = f"<{CRS84.uri}>"
    return response
