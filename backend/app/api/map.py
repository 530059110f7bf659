"""The map page and its files: public, since they hold no data; the page asks the API for that, with a token."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles

router = APIRouter(prefix="/map", include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"
FILES = StaticFiles(directory=STATIC)
PAGE = "map/index.html"
VERSIONED = "maplibre/"  # a release's files stand under its number, so they never change
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
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
