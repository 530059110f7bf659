"""Vector tiles of sites; each is asked for again, and mostly answered by 304, since an editor must see their change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.routing import request_response

from app.api.answers import ETAG_HEADER, GUARDED, READING, documented, takes_gzip
from app.deps import ETAG, ViewerReads, bearer, identify, token_scheme
from app.errors import NotOnSqliteError
from app.queries.tiles import Place
from app.schemas.common import Input
from app.schemas.tile import PROPERTIES, Column, Row, TileAddress, TileJson, TileQuery, VectorLayer, Zoom
from app.services import tiles as service
from app.services.extent import find_bounds

router = APIRouter(prefix="/tiles/sites", tags=["tiles"])

MVT = "application/vnd.mapbox-vector-tile"
CACHING = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}

Parameters = TypeVar("Parameters", bound=Input)


class TileResponse(Response):
    media_type = MVT


@router.get("/tilejson.json", responses=documented(*GUARDED, NotOnSqliteError), summary="Describe the tiles")
async def describe_tiles(request: Request, query: Annotated[TileQuery, Query()], reads: ViewerReads) -> TileJson:
    """TileJSON of the tiles with the same parameters."""
    bounds = await reads(lambda database, _: find_bounds(database, query))
    address = f"{request.url.replace(path=router.prefix, query='')}/{{z}}/{{x}}/{{y}}.mvt"
    parameters = f"?{request.url.query}" if request.url.query else ""
    fields = {name: PROPERTIES[name] for name in query.names}
    return TileJson(tiles=[address + parameters], bounds=bounds, vector_layers=[VectorLayer(fields=fields)])


async def read_tile(request: Request) -> Response:
    asked = request.query_params
    address = _valid(TileAddress, request.path_params, where="path")
    query = _valid(TileQuery, dict(asked) | ({"kind": asked.getlist("kind")} if "kind" in asked else {}), where="query")
    place = Place(zoom=address.z, x=address.x, y=address.y)
    state = request.app.state
    tiles: service.Tiles = state.tiles
    zipped, condition = takes_gzip(request), request.headers.get("if-none-match")
    if condition is not None or tiles.may_have(place, query, zipped=zipped) or not state.database.is_postgresql:
        _, version = await identify(request, bearer(request), with_version=True)
        service.check(place, is_postgresql=state.database.is_postgresql)
        tag = service.tag_of(version, place, query)
        if kept := _kept(condition, tag, zipped=zipped):
            return Response(status_code=304, headers={"ETag": f'"{kept}"', **CACHING})
        if tile := tiles.find(tag, zipped=zipped):
            return _answer(tile)
    claims = state.authenticator.verify(bearer(request))
    service.check(place, is_postgresql=True)
    admit = partial(state.authenticator.admit, claims=claims, client=None, request_id=None)
    make = partial(service.make_tile, place=place, query=query, caller_id=claims.user_id, admit=admit)
    tile = await state.reads.read(make)
    if zipped:
        tile = await service.zipped(tile)
    tiles.keep(tile, zipped=zipped)
    return _answer(tile)


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


def _kept(condition: str | None, tag: str, *, zipped: bool) -> str | None:
    """Which tag of the tile, as this client may be sent it, the client has already; None for none."""
    if condition is None:
        return None
    if condition.strip() == "*":
        return tag
    current = {tag, tag + service.ZIPPED} if zipped else {tag}
    return next((found for _, found in ETAG.findall(condition) if found in current), None)


def _answer(tile: service.Tile) -> Response:
    headers = {"ETag": f'"{tile.etag}"', **CACHING}
    if not tile.content:
        return Response(status_code=204, headers=headers)
    return TileResponse(tile.content, headers=headers | ({"Content-Encoding": "gzip"} if tile.is_zipped else {}))


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
