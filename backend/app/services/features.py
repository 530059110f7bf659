"""Sites as features of OGC API - Features."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import ColumnElement
from sqlalchemy.exc import InternalError

from app.db.types import Database, demand_postgis
from app.errors import CrsOutOfRangeError, CursorInvalidError, FieldProblem, ParameterInvalidError
from app.queries.features import fetch_features, site_in
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.schemas.crs import Bounds, Crs
from app.schemas.feature import FeatureListQuery
from app.services.changes import answer
from app.services.cql2 import compile_filter

BOX_UPSIDE_DOWN: Final = "The box's lower corner is not below its upper one. Mind the order of the system's axes."
BOX_CROSSES: Final = "The box's west is not west of its east, and only boxes in degrees may cross the antimeridian."
TEMPLATES = (BOX_UPSIDE_DOWN, BOX_CROSSES)


def list_features(database: Database, query: FeatureListQuery) -> Rows:
    """One page; raises `ParameterInvalidError`, `FilterInvalidError`, `CrsOutOfRangeError` and `NotOnSqliteError`."""
    boxes = _boxes(query)
    condition = compiled(query)
    _require(database, query.crs, query.bbox_crs)
    try:
        with _defined_in(query.crs):
            return fetch_features(database, query, boxes=boxes, condition=condition)
    except CursorInvalidError as error:
        raise _refused("cursor", error.type, error.detail) from None


def compiled(query: FeatureListQuery) -> ColumnElement[bool] | None:
    """Its filter; raises `FilterInvalidError`."""
    if query.filter is None:
        return None
    condition: ColumnElement[bool] = compile_filter(query.filter, lang=query.filter_lang, crs=query.filter_crs)
    return condition


def read_feature(database: Database, site_id: uuid.UUID, *, crs: Crs) -> Answer:
    """Raises `NotFoundError`, `CrsOutOfRangeError` and `NotOnSqliteError`."""
    _require(database, crs)
    with _defined_in(crs):
        return answer(database, site_in(crs), site_id)


def _require(database: Database, *systems: Crs) -> None:
    for crs in systems:
        if not crs.is_stored:
            demand_postgis(database, what="coordinates in projected systems")


@contextmanager
def _defined_in(crs: Crs) -> Iterator[None]:
    """Translate what PostGIS says of a position that the projection does not reach."""
    try:
        yield
    except InternalError:
        if crs.is_stored:
            raise
        raise CrsOutOfRangeError(crs=crs.title) from None


def _boxes(query: FeatureListQuery) -> list[Bounds] | None:
    """The bbox with its axes as PostGIS has them, cut at the antimeridian; what is beyond the system's bounds goes.

    Maps that show more than the world ask for more than the world, so that is no error.
    """
    if query.bbox is None:
        return None
    west, south, east, north = query.bbox
    if query.bbox_crs.flipped:
        west, south, east, north = south, west, north, east
    left, bottom, right, top = query.bbox_crs.bounds
    if south >= north:
        raise _refused("bbox", "bbox_upside_down", BOX_UPSIDE_DOWN)
    if west < east:
        sides = [(west, east)]
    elif west > east and query.bbox_crs.is_stored:
        sides = [(west, right), (left, east)]
    else:
        raise _refused("bbox", "bbox_crosses", BOX_CROSSES)
    cut = [(max(west, left), max(south, bottom), min(east, right), min(north, top)) for west, east in sides]
    return [box for box in cut if box[0] < box[2] and box[1] < box[3]]


def _refused(parameter: str, kind: str, message: str) -> ParameterInvalidError:
    return ParameterInvalidError(errors=[FieldProblem(loc=["query", parameter], type=kind, message=message, params={})])
