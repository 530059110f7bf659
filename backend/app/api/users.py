from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.answers import (
    CHANGING,
    CREATING,
    DELETING,
    ETAG_HEADER,
    LISTING,
    LOCATION_HEADER,
    READING,
    documented,
    page,
    resource,
)
from app.deps import (
    Admin,
    AdminReads,
    AppSettings,
    DbSession,
    IfMatchHeader,
    OnceHeader,
    Viewer,
    ViewerReads,
    get_authenticator,
    require_json,
)
from app.errors import ConflictError, LastAdminError, LoginLimitedError, PasswordWrongError, UserInUseError
from app.schemas.user import OwnPatch, UserCreate, UserListQuery, UserOut, UserPage, UserPatch, UserReplace
from app.services import users as service
from app.services.auth import Authenticator

router = APIRouter(prefix="/users", tags=["users"])


@router.get("", response_model=UserPage, responses=documented(*LISTING), summary="List users")
async def list_users(request: Request, query: Annotated[UserListQuery, Query()], reads: AdminReads) -> Response:
    return await reads(lambda database, _: page(service.list_users(database, query), request))


@router.post(
    "",
    status_code=201,
    response_model=UserOut,
    responses=documented(*CREATING, ConflictError, status=201, headers=ETAG_HEADER | LOCATION_HEADER),
    dependencies=[Depends(require_json)],
    summary="Create a user",
)
def create_user(
    request: Request, body: UserCreate, session: DbSession, actor: Admin, key: OnceHeader, settings: AppSettings
) -> Response:
    return resource(
        service.create_user(session, body, actor=actor, key=key, rounds=settings.auth.bcrypt_rounds),
        request,
        status=201,
    )


@router.get(
    "/me",
    response_model=UserOut,
    responses=documented(*READING, headers=ETAG_HEADER, not_modified=True),
    summary="Read yourself",
)
async def read_me(request: Request, reads: ViewerReads) -> Response:
    return await reads(lambda database, actor: resource(service.read_user(database, actor.user_id), request))


@router.patch(
    "/me",
    response_model=UserOut,
    responses=documented(*CHANGING, PasswordWrongError, LoginLimitedError, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Change your password or stored locale",
)
def patch_me(
    request: Request,
    body: OwnPatch,
    session: DbSession,
    actor: Viewer,
    if_match: IfMatchHeader,
    settings: AppSettings,
    authenticator: Annotated[Authenticator, Depends(get_authenticator)],
) -> Response:
    """A new password ends every token that was given for the old one, also the one that this request came with."""
    rounds = settings.auth.bcrypt_rounds
    changed = service.change_self(
        session, body, authenticator=authenticator, actor=actor, if_match=if_match, rounds=rounds
    )
    return resource(changed, request)


@router.get(
    "/{user_id}",
    response_model=UserOut,
    responses=documented(*READING, headers=ETAG_HEADER, not_modified=True),
    summary="Read a user",
)
async def read_user(request: Request, user_id: uuid.UUID, reads: AdminReads) -> Response:
    return await reads(lambda database, _: resource(service.read_user(database, user_id), request))


@router.put(
    "/{user_id}",
    response_model=UserOut,
    responses=documented(*CHANGING, ConflictError, LastAdminError, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Replace a user",
)
def replace_user(
    request: Request,
    user_id: uuid.UUID,
    body: UserReplace,
    session: DbSession,
    actor: Admin,
    if_match: IfMatchHeader,
    settings: AppSettings,
) -> Response:
    changed = service.change_user(
        session, user_id, body, actor=actor, if_match=if_match, rounds=settings.auth.bcrypt_rounds
    )
    return resource(changed, request)


@router.patch(
    "/{user_id}",
    response_model=UserOut,
    responses=documented(*CHANGING, ConflictError, LastAdminError, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Change a user",
)
def patch_user(
    request: Request,
    user_id: uuid.UUID,
    body: UserPatch,
    session: DbSession,
    actor: Admin,
    if_match: IfMatchHeader,
    settings: AppSettings,
) -> Response:
    changed = service.change_user(
        session, user_id, body, actor=actor, if_match=if_match, rounds=settings.auth.bcrypt_rounds
    )
    return resource(changed, request)


@router.delete(
    "/{user_id}",
    status_code=204,
    responses=documented(*DELETING, UserInUseError, LastAdminError),
    summary="Delete a user",
)
def delete_user(user_id: uuid.UUID, session: DbSession, actor: Admin, if_match: IfMatchHeader) -> None:
    service.delete_user(session, user_id, actor=actor, if_match=if_match)
