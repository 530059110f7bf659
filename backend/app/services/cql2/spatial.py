"""Geometries of CQL2 and how they relate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Boolean, ColumnElement, and_, case, not_, or_
from sqlalchemy.sql.functions import Function

from app.db.predicates import spatial_relation
from app.errors import FieldProblem, FilterInvalidError, RequestInvalidError
from app.queries.sites import SRID, envelope, meets
from app.schemas.crs import Crs
from app.services.cql2.faults import LOC, Fault, Path, refused, show
from app.services.cql2.operands import Operand
from app.services.geometry import Box, parse_bbox, parse_geometry

RELATIONS: Final = {
    "s_contains": "ST_Contains",
    "s_crosses": "ST_Crosses",
    "s_disjoint": "ST_Intersects",  # of which it is the contrary: this one has an index
    "s_equals": "ST_Equals",
    "s_intersects": "ST_Intersects",
    "s_overlaps": "ST_Overlaps",
    "s_touches": "ST_Touches",
    "s_within": "ST_Within",
}


def relation(op: str, one: Operand, other: Operand) -> ColumnElement[bool]:
    """A spatial function; both operands are geometries."""
    for column, box in ((one, other), (other, one)):
        if op == "s_intersects" and box.boxes and not _is_literal(column):
            return or_(*(meets(envelope(area)) for area in box.boxes))
    # Only the operator uses the index where a function is given what is not the column itself.
    related = and_(
        one.sql.op("&&", is_comparison=True)(other.sql),
        Function(RELATIONS[op], _flat(one), _flat(other), type_=Boolean()),
    )
    found = spatial_relation(related)
    return not_(found) if op == "s_disjoint" else found


def geometry_literal(node: Mapping[str, Any], crs: Crs, path: Path) -> Operand:
    """A GeoJSON geometry or `{"bbox": […]}`; what exceeds two dimensions is dropped, since sites have no more."""
    boxes: list[Box] = []
    if "bbox" in node:
        boxes, geometry = _bbox(node["bbox"], crs, path)
    else:
        geometry = _geometry(_flattened(node), crs, path)
    if geometry.geom_type == "GeometryCollection":
        geometry = shapely.unary_union(geometry)  # see _flat
    sql: ColumnElement[Any] = Function("ST_GeomFromWKB", shapely.to_wkb(geometry), crs.srid)
    if not crs.is_stored:
        sql = Function("ST_Transform", sql, SRID)
    return Operand(type="geometry", shown=show(node), sql=sql, end=sql, boxes=boxes)


def _is_literal(one: Operand) -> bool:
    return isinstance(one.sql, Function)


def _flat(one: Operand) -> ColumnElement[Any]:
    """GEOS fails on a collection whose members overlap; their union is the same set of points."""
    if _is_literal(one):
        return one.sql
    is_collection = Function("ST_GeometryType", one.sql) == "ST_GeometryCollection"
    return case((is_collection, Function("ST_UnaryUnion", one.sql)), else_=one.sql)


def _bbox(numbers: Any, crs: Crs, path: Path) -> tuple[list[Box], BaseGeometry]:
    if not isinstance(numbers, list) or not all(type(number) in {int, float} for number in numbers):
        raise refused(Fault.BBOX_FORM, path)
    match numbers:
        case [west, south, east, north] | [west, south, _, east, north, _]:
            pass
        case _:
            raise refused(Fault.BBOX_FORM, path)
    if not crs.is_stored:
        if west >= east or south >= north:  # what lies across the antimeridian is for degrees
            raise refused(Fault.BBOX_FORM, path)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return [], _geometry({"type": "Polygon", "coordinates": [ring]}, crs, path)
    try:
        boxes = parse_bbox(f"{west!r},{south!r},{east!r},{north!r}")
    except RequestInvalidError as error:
        raise _relocated(error, path) from None
    return boxes, shapely.unary_union([shapely.box(*box) for box in boxes])


def _geometry(node: dict[str, Any], crs: Crs, path: Path) -> BaseGeometry:
    if crs.is_stored:
        try:
            return shapely.from_wkb(parse_geometry(node, loc=(*LOC, *path), is_stored=False))
        except RequestInvalidError as error:
            raise FilterInvalidError(errors=error.errors) from None
    try:
        geometry = shapely.geometry.shape(node)
    except (ValueError, TypeError, LookupError, AttributeError, shapely.errors.ShapelyError):
        raise refused(Fault.GEOMETRY_INVALID, path, shown=show(node)) from None
    if geometry.is_empty or not geometry.is_valid:
        raise refused(Fault.GEOMETRY_INVALID, path, shown=show(node))
    if not shapely.box(*crs.bounds).covers(geometry):
        raise refused(Fault.OUT_OF_BOUNDS, path, shown=show(node), bounds=", ".join(map(str, crs.bounds)))
    return geometry


def _flattened(node: Any) -> Any:
    match node:
        case {"type": "GeometryCollection", "geometries": list(members)}:
            return node | {"geometries": [_flattened(member) for member in members]}
        case {"coordinates": coordinates}:
            return node | {"coordinates": _flattened(coordinates)}
        case [float() | int() as x, float() | int() as y, float() | int()]:
            return [x, y]
        case list():
            return [_flattened(item) for item in node]
        case _:
            return node


def _relocated(error: RequestInvalidError, path: Path) -> FilterInvalidError:
    problems = [
        FieldProblem(loc=(*LOC, *path, "bbox"), type=one.type, message=one.message, params=one.params)
        for one in error.errors
    ]
    return FilterInvalidError(errors=problems)
