"""The bytes of the embedded local store, behind its signed URLs; with S3 these routes do not exist."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from app.artifacts.local import URL_PREFIX, LocalStorage
from app.artifacts.storage import content_disposition

router = APIRouter(prefix=URL_PREFIX.rstrip("/"), include_in_schema=False)

WRITE_BYTES = 1024**2  # one hand-over to a thread for so many bytes


@router.put("/{key:path}")
async def put_object(key: str, request: Request) -> Response:
    storage = _storage(request)
    grant = storage.verify("PUT", key, dict(request.query_params), now=datetime.now(UTC))
    upload = await run_in_threadpool(storage.open_upload, grant)
    try:
        pending = bytearray()
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= WRITE_BYTES:
                await run_in_threadpool(upload.write, bytes(pending))
                pending.clear()
        await run_in_threadpool(upload.write, bytes(pending))
        await run_in_threadpool(upload.commit)
    finally:
        await run_in_threadpool(upload.discard)
    return Response(status_code=200)


@router.get("/{key:path}")
def get_object(key: str, request: Request) -> Response:
    storage = _storage(request)
    found = storage.open_download(storage.verify("GET", key, dict(request.query_params), now=datetime.now(UTC)))
    # An attachment of a fixed type: what a client uploads as HTML must never run with this origin.
    headers = {
        "Content-Disposition": content_disposition(found.file_name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return FileResponse(found.path, media_type=found.media_type, headers=headers)


def _storage(request: Request) -> LocalStorage:
    storage: LocalStorage = request.app.state.storage
    return storage
