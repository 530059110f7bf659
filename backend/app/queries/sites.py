from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    LargeBinary,
    Row,
    Text,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

# Not `func`: GeoAlchemy2's functions rename themselves for good when SQLite compiles them first.
from sqlalchemy.sql.functions import Function
from sqlalchemy.types import TypeEngine

from app.db.types import Database, Guid, UtcDateTime
from app.models import Site
from app.queries.csv_rows import csv_quoted, csv_text
from app.queries.json_rows import Noun, json_object, json_value, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.crs import DEGREE_DIGITS, STORED_SRID
from app.schemas.site import SiteFilter, SiteListQuery

SRID = STORED_SRID
DIGITS = DEGREE_DIGITS

PROPERTIES = json_object(
    json_values(
        Site.name,
        Site.kind,
        Site.external_id,
        Site.properties,
        Site.owner_id,
        Site.version,
        Site.created_at,
        Site.updated_at,
    )
)


def feature(geometry: ColumnElement[str]) -> ColumnElement[str]:
    """A GeoJSON Feature with the geometry's text."""
    kind: ColumnElement[str] = literal_column("'\"Feature\"'", Text)
    return json_object({"type": kind, "id": json_value(Site.id), "geometry": geometry, "properties": PROPERTIES})


SITE = Noun(name="site", model=Site, row=feature(Function("ST_AsGeoJSON", Site.geom, DIGITS, type_=Text())))
CSV_COLUMNS = {
    "id": json_value(Site.id),
    "name": csv_text(Site.name),
    "kind": csv_text(Site.kind),
    "external_id": csv_text(Site.external_id),
    "properties": csv_quoted(json_value(Site.properties)),
    "owner_id": json_value(Site.owner_id),
    "version": json_value(Site.version),
    "created_at": json_value(Site.created_at),
    "updated_at": json_value(Site.updated_at),
    "geometry": csv_quoted(Function("ST_AsText", Site.geom, DIGITS, type_=Text())),
}
TABLE_COLUMNS: tuple[Any, ...] = (
    Site.id,
    Site.name,
    Site.kind,
    Site.external_id,
    json_value(Site.properties).label("properties"),
    Site.owner_id,
    Site.version,
    Site.created_at,
    Site.updated_at,
    Function("ST_AsBinary", Site.geom, type_=LargeBinary()).label("geometry"),
    *(
        Function(f"ST_{side}", Site.geom, type_=Double()).label(side.lower())
        for side in ("XMin", "YMin", "XMax", "YMax")
    ),
)
KEYS: SortKeys = {"created_at": Site.created_at, "updated_at": Site.updated_at, "name": Site.name}


@dataclass(frozen=True, kw_only=True)
class Area:
    """Where to look: in one of the boxes (west, south, east, north in degrees), and within metres of a point (WKB)."""

    boxes: Sequence[tuple[float, float, float, float]] = ()
    near: tuple[bytes, float] | None = None


def geometry_from_wkb(wkb: bytes) -> ColumnElement[Any]:
    return Function("ST_GeomFromWKB", wkb, SRID)


def fetch_sites(
    database: Database,
    query: SiteListQuery,
    *,
    area: Area,
    condition: ColumnElement[bool] | None = None,
    row: ColumnElement[str] = SITE.row,
    separator: str = ",",
) -> Rows:
    where = _conditions(query, area)
    if condition is not None:
        where.append(condition)
    return fetch_rows(
        database,
        row=row,
        where=where,
        id_column=Site.id,
        keys=KEYS,
        sort=query.sort,
        query=query,
        separator=separator,
    )


def fetch_site_rows(
    database: Database,
    query: SiteFilter,
    *,
    area: Area,
    condition: ColumnElement[bool] | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Sites after that one as columns of a table, in the order in which they were made."""
    where = _conditions(query, area)
    if condition is not None:
        where.append(condition)
    if after is not None:
        types: list[TypeEngine[Any]] = [UtcDateTime(), Guid()]
        there = tuple_(literal(after[0], UtcDateTime()), literal(after[1], Guid()), types=types)
        where.append(tuple_(Site.created_at, Site.id, types=types) > there)
    page = select(*TABLE_COLUMNS).where(*where).order_by(Site.created_at, Site.id).limit(limit)
    return database.execute(page).all()


def _conditions(query: SiteFilter, area: Area) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.kind:
        where.append(Site.kind.in_(query.kind))
    if query.owner_id:
        where.append(Site.owner_id == query.owner_id)
    if query.external_id:
        where.append(Site.external_id == query.external_id)
    if query.text:
        where.append(Site.name.icontains(query.text, autoescape=True))
    if area.boxes:
        where.append(or_(*(meets(envelope(box)) for box in area.boxes)))
    if area.near:
        point, metres = area.near
        here: Function[Any] = Function("geography", Site.geom)
        there: Function[Any] = Function("geography", geometry_from_wkb(point))
        where.append(Function("ST_DWithin", here, there, metres, type_=Boolean()))
    return where


def envelope(box: Sequence[float], *, srid: int = SRID) -> ColumnElement[Any]:
    return Function("ST_MakeEnvelope", *box, srid)


def meets(shape: ColumnElement[Any]) -> ColumnElement[bool]:
    return Function("ST_Intersects", Site.geom, shape, type_=Boolean())
