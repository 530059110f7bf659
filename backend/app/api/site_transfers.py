"""Sites in bulk: the import of a file, and the export of one."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import zlib
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import IO, Annotated, Any, BinaryIO, cast

from anyio import CancelScope
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.api.answers import BODY, GEOJSON, GUARDED, JSON, documented, takes_gzip
from app.deps import (
    AppSettings,
    Database,
    DbSession,
    Editor,
    ExportPlaces,
    Held,
    ImportPlaces,
    TablePlaces,
    Viewer,
    media_type_of,
)
from app.errors import (
    ConcurrentChangeError,
    FilterInvalidError,
    FormatUnavailableError,
    ImportInvalidError,
    ImportTooLargeError,
    MediaTypeUnsupportedError,
    NotOnSqliteError,
    OverloadedError,
    ReferenceConflictError,
    RequestTimeoutError,
)
from app.middleware.problems import language_of
from app.schemas.site import EXAMPLE
from app.schemas.site_transfer import ImportQuery, ImportReport, SiteExportQuery
from app.services import site_exports, site_imports
from app.services.export_formats import CSV, KINDS
from app.settings import Settings

router = APIRouter(prefix="/sites", tags=["sites"])

WHOLE = (GEOJSON, JSON)
SEQUENCES = ("application/geo+json-seq", "application/x-ndjson")
SEND_BYTES = 64 * 1024  # as large as a piece may be for even a slow client to take it in time
GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say it
GZIP_LEVEL = 1  # three times as fast as the default, and a fifth larger
WRITE_BYTES = 1024**2  # more at once spare hops to a thread, less spare memory

COLLECTION_EXAMPLE = {
    "type": "FeatureCollection",
    "features": [EXAMPLE | {"properties": {"name": "Well 8", "kind": "well", "external_id": "W-8"}}],
}
COLLECTION: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {"type": "array", "items": {"$ref": "#/components/schemas/SiteWrite"}},
    },
}
COLLECTION_OUT: dict[str, Any] = {
    **COLLECTION,
    "properties": {
        **COLLECTION["properties"],
        "features": {"type": "array", "items": {"$ref": "#/components/schemas/SiteOut"}},
    },
}
IMPORT_BODY = {
    "description": "GeoJSON: a FeatureCollection, or a sequence (RFC 8142, or a feature a line). "
    "May have the Content-Encoding gzip.",
    "required": True,
    "content": {
        **{media_type: {"schema": COLLECTION | {"examples": [COLLECTION_EXAMPLE]}} for media_type in WHOLE},
        **{media_type: {"schema": {"type": "string"}} for media_type in SEQUENCES},
    },
}


@router.post(
    "/import",
    response_model=ImportReport,
    responses=documented(*GUARDED, *BODY, ImportInvalidError, ConcurrentChangeError, ReferenceConflictError),
    openapi_extra={"requestBody": IMPORT_BODY},
    summary="Import sites",
)
async def import_sites(
    request: Request,
    query: Annotated[ImportQuery, Query()],
    session: DbSession,
    actor: Editor,
    places: ImportPlaces,
    settings: AppSettings,
) -> Response:
    """Create and change sites by their external ids, all or none."""
    sequence = _is_sequence(request)
    async with _received(request, places=places, settings=settings) as file:
        report = await run_in_threadpool(
            site_imports.import_sites,
            session,
            file,
            sequence=sequence,
            actor=actor,
            owner_id=actor.user_id,
            language=language_of(request.scope),
            settings=settings.transfer,
            dry_run=query.dry_run,
        )
    return Response(report.model_dump_json(), media_type=JSON)


EXPORT: dict[int | str, Any] = {
    200: {
        "description": "The sites, oldest first.",
        "headers": {"Content-Disposition": {"description": "A file name.", "schema": {"type": "string"}}},
        "content": {
            GEOJSON: {"schema": COLLECTION_OUT},
            **{media_type: {"schema": {"type": "string"}} for media_type in ("application/geo+json-seq", CSV)},
            KINDS["geoparquet"].media_type: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={**documented(*GUARDED, FilterInvalidError, FormatUnavailableError, NotOnSqliteError), **EXPORT},
    summary="Export sites",
)
async def export_sites(
    request: Request,
    query: Annotated[SiteExportQuery, Query()],
    database: Database,
    actor: Viewer,
    texts: ExportPlaces,
    tables: TablePlaces,
    held: Held,
) -> Response:
    """All sites that fit; each is written as it stands when its turn comes, and once."""
    kind = KINDS[query.format]
    places = tables if kind.needs else texts
    if places.locked():
        raise OverloadedError
    await held.enter_async_context(places)  # at once, as there is one
    pages = await run_in_threadpool(site_exports.export_sites, database, query)
    held.push_async_callback(_close, pages)
    headers = {"Content-Disposition": f'attachment; filename="sites.{kind.suffix}"', "Vary": "Accept-Encoding"}
    if not kind.is_packed and takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        pages = _compressed(pages)
    return StreamingResponse(_pieces(pages), headers={"Content-Type": kind.media_type, **headers})


def _compressed(pages: Generator[bytes]) -> Generator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP)
    for page in pages:
        yield packer.compress(page)
    yield packer.flush()


async def _pieces(pages: Generator[bytes]) -> AsyncIterator[bytes]:
    while (page := await run_in_threadpool(next, pages, None)) is not None:
        for start in range(0, len(page), SEND_BYTES):
            yield page[start : start + SEND_BYTES]


async def _close(pages: Generator[bytes]) -> None:
    with CancelScope(shield=True):
        await run_in_threadpool(pages.close)  # it may have to wait for the end of a process


def _is_sequence(request: Request) -> bool:
    media_type = media_type_of(request)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"} or media_type not in {None, *WHOLE, *SEQUENCES}:
        raise MediaTypeUnsupportedError(expected=f"{', '.join((*WHOLE, *SEQUENCES))}; as it is, or by gzip")
    return media_type in SEQUENCES


@asynccontextmanager
async def _received(request: Request, *, places: asyncio.Semaphore, settings: Settings) -> AsyncIterator[BinaryIO]:
    """The body in a temporary file, so that no connection is held while it comes; unpacked as it is read."""
    limit = settings.transfer.max_bytes
    if int(request.headers.get("content-length", "0")) > limit:
        raise ImportTooLargeError(limit=limit)
    if places.locked():
        raise OverloadedError
    async with places:
        with tempfile.TemporaryFile() as file:
            await _receive(request, file, settings=settings)
            file.seek(0)
            is_packed = request.headers.get("content-encoding", "").lower() == "gzip"
            source = gzip.GzipFile(fileobj=file) if is_packed else file
            yield cast("BinaryIO", _Bounded(cast("IO[bytes]", source), limit=limit))


async def _receive(request: Request, file: IO[bytes], *, settings: Settings) -> None:
    """Raises `ImportTooLargeError`, and `RequestTimeoutError` for a client that pauses or takes too long."""
    size, pending = 0, bytearray()
    stream = request.stream()
    try:
        async with asyncio.timeout(settings.transfer.timeout_seconds.total_seconds()):
            while True:
                async with asyncio.timeout(settings.listen.body_timeout_seconds.total_seconds()):
                    chunk = await anext(stream, b"")
                if not chunk:
                    break
                size += len(chunk)
                if size > settings.transfer.max_bytes:
                    raise ImportTooLargeError(limit=settings.transfer.max_bytes)
                pending += chunk
                if len(pending) >= WRITE_BYTES:
                    await run_in_threadpool(file.write, bytes(pending))
                    pending.clear()
    except TimeoutError:
        raise RequestTimeoutError from None
    await run_in_threadpool(file.write, bytes(pending))


class _Bounded:
    """A file that may be so long: a small one can unpack to any size."""

    def __init__(self, file: IO[bytes], *, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._size = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._size += len(data)
        if self._size > self._limit:
            raise ImportTooLargeError(limit=self._limit)
        return data
