"""The map page and its files: public, since they hold no data; the page asks the API for that, with a token."""

from __future__ import annotations

import gzip
import os
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope
from typing_extensions import override

from app.api.answers import takes_gzip
from app.services.tiles import ZIPPED


class _Files(StaticFiles):
    """Compressed for who takes that: a quarter of the size."""

    @override
    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        if not takes_gzip(Request(scope)):
            return super().file_response(full_path, stat_result, scope, status_code)
        plain = FileResponse(full_path, stat_result=stat_result)
        headers = {
            "ETag": plain.headers["etag"].removesuffix('"') + f'{ZIPPED}"',
            "Last-Modified": plain.headers["last-modified"],
            "Content-Encoding": "gzip",
        }
        content = _zipped(os.fspath(full_path), stat_result.st_mtime_ns)
        response = Response(content, status_code, headers, plain.media_type)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


@lru_cache(maxsize=100)
def _zipped(path: str, _modified: int) -> bytes:
    """Made once and kept, half a megabyte in all; the largest takes 45 ms."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)


router = APIRouter(prefix="/map", include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
FILES = _Files(directory=STATIC)
PAGE = "map/index.html"
VERSIONED = "maplibre/"  # a release's files stand under its number, so they never change
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


@router.get("")
async def read_page(request: Request) -> Response:
    return await read_file(request, PAGE)


@router.get("/static/{path:path}")
async def read_file(request: Request, path: str) -> Response:
    response = await FILES.get_response(path, request.scope)
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if path.startswith(VERSIONED) else "no-cache"
    )
    return response
