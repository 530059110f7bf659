"""Vector tiles of sites; each is asked for again, and mostly answered by 304, since an editor must see their change."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.routing import request_response

from app.api.answers import ETAG_HEADER, GUARDED, READING, documented, takes_gzip
from app.db.types import Database
from app.deps import ETAG, ViewerReads, token_scheme, viewer_reads
from app.errors import NotOnSqliteError
from app.queries.tiles import Place
from app.schemas.common import Input
from app.schemas.tile import PROPERTIES, Column, Row, TileAddress, TileJson, TileQuery, VectorLayer, Zoom
from app.services import tiles as service

router = APIRouter(prefix="/tiles/sites", tags=["tiles"])

MVT = "application/vnd.mapbox-vector-tile"
MIN_COMPRESSED_BYTES = 1024  # smaller ones go out in one packet anyway
# Of a tile of 40 kB, level 1 leaves 42 % in 0.12 ms, level 5 38 % in 0.5 ms.
COMPRESSION_LEVEL = 1
CACHING = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
ZIPPED = "-gzip"  # the end of a tag: a strong one is of one encoding

Parameters = TypeVar("Parameters", bound=Input)


class TileResponse(Response):
    media_type = MVT


@router.get("/tilejson.json", responses=documented(*GUARDED, NotOnSqliteError), summary="Describe the tiles")
async def describe_tiles(request: Request, query: Annotated[TileQuery, Query()], reads: ViewerReads) -> TileJson:
    """TileJSON of the tiles with the same parameters."""
    await reads(lambda database, _: service.demand_tiles(database))
    address = f"{request.url.replace(path=router.prefix, query='')}/{{z}}/{{x}}/{{y}}.mvt"
    parameters = f"?{request.url.query}" if request.url.query else ""
    fields = {name: PROPERTIES[name] for name in query.names}
    return TileJson(tiles=[address + parameters], vector_layers=[VectorLayer(fields=fields)])


async def read_tile(request: Request) -> Response:
    asked = request.query_params
    address = _valid(TileAddress, request.path_params, where="path")
    query = _valid(TileQuery, dict(asked) | ({"kind": asked.getlist("kind")} if "kind" in asked else {}), where="query")
    place = Place(zoom=address.z, x=address.x, y=address.y)
    return await viewer_reads(request)(lambda database, _: _answer(database, request, place, query))


def _valid(schema: type[Parameters], values: Mapping[str, Any], *, where: str) -> Parameters:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        found = [{**problem, "loc": (where, *problem["loc"])} for problem in error.errors(include_url=False)]
        raise RequestValidationError(found) from None


def _describe(
    z: Zoom, x: Column, y: Row, query: Annotated[TileQuery, Query()], token: Annotated[None, Depends(token_scheme)]
) -> None:
    """What `read_tile` takes, for the API's description."""


class _TileRoute(APIRoute):
    """FastAPI describes it and Starlette serves it: FastAPI's look-up of parameters costs a third of an empty tile."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app = request_response(self.endpoint)


def _answer(database: Database, request: Request, place: Place, query: TileQuery) -> Response:
    zipped = takes_gzip(request)
    condition = request.headers.get("if-none-match")
    if condition is not None:
        tag = service.find_tag(database, place, query)
        if kept := _kept(condition, tag, zipped=zipped):
            return Response(status_code=304, headers={"ETag": f'"{kept}"', **CACHING})
    tile = service.read_tile(database, place, query)
    headers = {"ETag": f'"{tile.tag}"', **CACHING}
    if not tile.content:
        return Response(status_code=204, headers=headers)
    if not zipped or len(tile.content) < MIN_COMPRESSED_BYTES:
        return TileResponse(tile.content, headers=headers)
    headers |= {"ETag": f'"{tile.tag}{ZIPPED}"', "Content-Encoding": "gzip"}
    return TileResponse(gzip.compress(tile.content, COMPRESSION_LEVEL, mtime=0), headers=headers)


def _kept(condition: str, tag: str, *, zipped: bool) -> str | None:
    """Which tag of the tile, as this client may be sent it, the client has already; None for none."""
    if condition.strip() == "*":
        return tag
    current = {tag, tag + ZIPPED} if zipped else {tag}
    return next((found for _, found in ETAG.findall(condition) if found in current), None)


TILE = _TileRoute(
    f"{router.prefix}/{{z}}/{{x}}/{{y}}.mvt",
    read_tile,
    methods=["GET"],
    tags=["tiles"],
    dependencies=[Depends(_describe)],
    response_class=TileResponse,
    responses=documented(*READING, NotOnSqliteError, headers=ETAG_HEADER, not_modified=True)
    | {204: {"description": "There is nothing here.", "headers": ETAG_HEADER}},
    summary="Read a tile",
)
