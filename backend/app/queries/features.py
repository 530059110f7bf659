"""Sites as OGC API - Features gives them: in the client's own coordinate reference system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Text, false, or_

# Not `func`: see app.queries.sites.
from sqlalchemy.sql.functions import Function

from app.db.types import Database
from app.models import Site
from app.queries.json_rows import Noun
from app.queries.paging import Rows, fetch_rows
from app.queries.sites import KEYS, SITE, envelope, feature, meets
from app.schemas.crs import CRS84, STORED_SRID, Bounds, Crs
from app.schemas.feature import FeatureListQuery

SORT = "created_at"  # an order that changes of a site leave as it is, and that has an index
SEGMENTS = 64  # of a box's longer side: straight in one system is bent in another
NO_CRS_MEMBER = 0  # which ST_AsGeoJSON would add, and RFC 7946 has removed


@cache
def site_in(crs: Crs) -> Noun:
    """A site whose coordinates, and their order, are those of `crs`."""
    if crs is CRS84:
        return SITE
    geom: Any = Site.geom
    if not crs.is_stored:
        geom = Function("ST_Transform", geom, crs.srid)
    if crs.flipped:
        geom = Function("ST_FlipCoordinates", geom)
    options = () if crs.is_stored else (NO_CRS_MEMBER,)
    return replace(SITE, row=feature(Function("ST_AsGeoJSON", geom, crs.digits, *options, type_=Text())))


def fetch_features(
    database: Database,
    query: FeatureListQuery,
    *,
    boxes: Sequence[Bounds] | None,
    condition: ColumnElement[bool] | None,
) -> Rows:
    """One page of the sites in any of the boxes, each of them west, south, east, north in `query.bbox_crs`."""
    where = _conditions(query)
    if condition is not None:
        where.append(condition)
    if boxes is not None:
        where.append(or_(false(), *(in_box(box, query.bbox_crs) for box in boxes)))
    row = site_in(query.crs).row
    return fetch_rows(database, row=row, where=where, id_column=Site.id, keys=KEYS, sort=SORT, query=query)


def _conditions(query: FeatureListQuery) -> list[ColumnElement[bool]]:
    values = {
        Site.id: query.id,
        Site.name: query.name,
        Site.kind: query.kind,
        Site.external_id: query.external_id,
        Site.owner_id: query.owner_id,
        Site.version: query.version,
        Site.created_at: query.created_at,
        Site.updated_at: query.updated_at,
    }
    where: list[ColumnElement[bool]] = [column == value for column, value in values.items() if value is not None]
    start, end = query.interval or (None, None)
    if start is not None:
        where.append(Site.updated_at >= start)
    if end is not None:
        where.append(Site.updated_at <= end)
    return where


def in_box(box: Bounds, crs: Crs) -> ColumnElement[bool]:
    return meets(_shape(box, crs))


def _shape(box: Bounds, crs: Crs) -> ColumnElement[Any]:
    """The box as it lies in the column's system."""
    if crs.is_stored:
        return envelope(box)
    west, south, east, north = box
    outline: Function[Any] = Function(
        "ST_Segmentize", envelope(box, srid=crs.srid), max(east - west, north - south) / SEGMENTS
    )
    return Function("ST_Transform", outline, STORED_SRID)
