"""What endpoints ask FastAPI for: the session, who is asking, and the conditions of the request.

Whatever does not block is `async`: FastAPI takes each plain function to a worker thread and back.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, TypeVar

from anyio import CancelScope
from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.db.session import DatabaseSessionManager
from app.errors import MediaTypeUnsupportedError, PermissionDeniedError
from app.models import UserRole
from app.schemas.common import NO_NUL
from app.services.artifacts import ArtifactService
from app.services.auth import Authenticator, may
from app.services.callers import Callers
from app.services.changes import Actor, IfMatch, Once
from app.services.export_worker import ExportWorker
from app.services.verification import Verifier
from app.settings import Settings
from app.telemetry.request_ids import request_id

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ETAG = re.compile(r'(W/)?"([^"]*)"')
VERSION = re.compile(r"[1-9][0-9]{0,9}")

T = TypeVar("T")

token_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/token", auto_error=False)


async def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def get_authenticator(request: Request) -> Authenticator:
    authenticator: Authenticator = request.app.state.authenticator
    return authenticator


async def get_artifacts(request: Request) -> ArtifactService:
    artifacts: ArtifactService = request.app.state.artifacts
    return artifacts


async def get_database(request: Request) -> DatabaseSessionManager:
    database: DatabaseSessionManager = request.app.state.database
    return database


async def get_held() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as held:
        yield held


async def get_export_places(request: Request) -> asyncio.Semaphore:
    places: asyncio.Semaphore = request.app.state.export_places
    return places


async def get_table_places(request: Request) -> asyncio.Semaphore:
    places: asyncio.Semaphore = request.app.state.table_places
    return places


async def get_import_places(request: Request) -> asyncio.Semaphore:
    places: asyncio.Semaphore = request.app.state.import_places
    return places


async def get_verifier(request: Request) -> Verifier:
    verifier: Verifier = request.app.state.verifier
    return verifier


async def get_exports(request: Request) -> ExportWorker:
    exports: ExportWorker = request.app.state.exports
    return exports


async def get_db(request: Request) -> AsyncIterator[Session]:
    """A session for one request; it rolls back on an error, always closes, and never commits: services do."""
    database: DatabaseSessionManager = request.app.state.database
    session = database.open_session(read_only=request.method in SAFE_METHODS)
    try:
        yield session
    finally:
        if session.in_transaction():
            with CancelScope(shield=True):
                await run_in_threadpool(session.close)  # it rolls back: a round trip
        else:
            session.close()


# Closed before the answer goes out, so that no slow client holds it.
DbSession = Annotated[Session, Depends(get_db, scope="function")]


async def client_address(request: Request) -> str | None:
    address: str | None = request.state.client_address
    return address


ClientAddress = Annotated[str | None, Depends(client_address)]


async def get_actor(request: Request, token: Annotated[str | None, Depends(token_scheme)]) -> Actor:
    actor, _ = await identify(request, token)
    return actor


async def identify(request: Request, token: str | None, *, with_version: bool = False) -> tuple[Actor, str | None]:
    callers: Callers = request.app.state.callers
    client = request.state.client_address
    return await callers.identify(token, client=client, request_id=request_id.get(), with_version=with_version)


def _require(role: UserRole) -> Callable[[Actor], Awaitable[Actor]]:
    async def check(actor: Annotated[Actor, Depends(get_actor)]) -> Actor:
        return _permitted(actor, role)

    return check


def _permitted(actor: Actor, role: UserRole) -> Actor:
    if not may(actor, role):
        raise PermissionDeniedError(role=str(role), own_role=str(actor.role))
    return actor


@dataclass(frozen=True)
class Reader:
    """Reads for who asks, on PostgreSQL without a thread: what it reads must not block otherwise."""

    request: Request
    token: str | None
    role: UserRole

    async def __call__(
        self, read: Callable[[Connection, Actor], T], *, before: Callable[[], object] | None = None
    ) -> T:
        """`before` is run in a thread first, for who may read: what `read` needs and takes long to make."""
        reads: DatabaseSessionManager = self.request.app.state.reads
        actor, _ = await identify(self.request, self.token)
        _permitted(actor, self.role)
        if before is not None:
            await run_in_threadpool(before)
        return await reads.read(lambda connection: read(connection, actor))


def _reader(role: UserRole) -> Callable[[Request, str | None], Awaitable[Reader]]:
    async def reader(request: Request, token: Annotated[str | None, Depends(token_scheme)]) -> Reader:
        return Reader(request, token, role)

    return reader


def bearer(request: Request) -> str | None:
    """The token, for a route that FastAPI does not serve."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token if scheme.lower() == "bearer" else None


def viewer_reads(request: Request) -> Reader:
    return Reader(request, bearer(request), UserRole.VIEWER)


ViewerReads = Annotated[Reader, Depends(_reader(UserRole.VIEWER))]
AdminReads = Annotated[Reader, Depends(_reader(UserRole.ADMIN))]


Viewer = Annotated[Actor, Depends(get_actor)]
Editor = Annotated[Actor, Depends(_require(UserRole.EDITOR))]
Admin = Annotated[Actor, Depends(_require(UserRole.ADMIN))]


async def get_if_match(if_match: Annotated[str | None, Header(max_length=1000)] = None) -> IfMatch:
    """A weak tag never matches, and neither does one that no version ever had."""
    if if_match is None or if_match.strip() == "*":
        return IfMatch(versions=None)
    tags = [tag for weak, tag in ETAG.findall(if_match) if not weak]
    return IfMatch(versions=frozenset(int(tag) for tag in tags if VERSION.fullmatch(tag)))


async def get_once(
    request: Request,
    actor: Viewer,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="Makes a repeated request safe for 24 hours: it gets the first one's answer.",
        ),
    ] = None,
) -> Once | None:
    if idempotency_key is None or actor.id is None:
        return None
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.body())
    return Once(user_id=actor.id, key=idempotency_key, fingerprint=digest.hexdigest())


async def require_json(request: Request) -> None:
    """Refuse another media type by name; FastAPI would say that the body is not an object."""
    media_type = media_type_of(request)
    if media_type is not None and media_type != "application/json" and not media_type.endswith("+json"):
        raise MediaTypeUnsupportedError(expected="application/json")


async def require_form(request: Request) -> None:
    """Refuse another media type by name; FastAPI would say that every field is missing."""
    if media_type_of(request) not in {None, "application/x-www-form-urlencoded"}:
        raise MediaTypeUnsupportedError(expected="application/x-www-form-urlencoded")


def media_type_of(request: Request) -> str | None:
    """The body's, without parameters; None where there is no body."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() if has_body else None


IfMatchHeader = Annotated[IfMatch, Depends(get_if_match)]
OnceHeader = Annotated[Once | None, Depends(get_once)]
Artifacts = Annotated[ArtifactService, Depends(get_artifacts)]
Verifying = Annotated[Verifier, Depends(get_verifier)]
Exports = Annotated[ExportWorker, Depends(get_exports)]
AppSettings = Annotated[Settings, Depends(get_settings)]
# What an endpoint puts there is closed when its answer has gone out, its client has left, or it has failed.
Held = Annotated[AsyncExitStack, Depends(get_held)]
ExportPlaces = Annotated[asyncio.Semaphore, Depends(get_export_places)]
TablePlaces = Annotated[asyncio.Semaphore, Depends(get_table_places)]
ImportPlaces = Annotated[asyncio.Semaphore, Depends(get_import_places)]
Database = Annotated[DatabaseSessionManager, Depends(get_database)]
