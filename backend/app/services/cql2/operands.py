"""What filters compare: the properties of sites, and literals."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Float, Text, cast, literal
from sqlalchemy.orm import InstrumentedAttribute

from app.db.types import Guid
from app.models import Site
from app.schemas.common import is_storable
from app.schemas.feature import MAX_VERSION
from app.services.cql2.faults import Fault, Path, refused, show
from app.services.geometry import Box

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class Queryable(NamedTuple):
    """A property that filters may name, and its type as JSON schema."""

    column: InstrumentedAttribute[Any]
    schema: Mapping[str, Any]


STRING: Final = {"type": "string", "minLength": 1, "maxLength": 200}
ID: Final = {"type": "string", "format": "uuid"}
MOMENT: Final = {"type": "string", "format": "date-time"}

QUERYABLES: Final[Mapping[str, Queryable]] = {
    "id": Queryable(Site.id, ID),
    "geometry": Queryable(Site.geom, {"format": "geometry-any"}),
    "name": Queryable(Site.name, STRING),
    "kind": Queryable(Site.kind, STRING),
    "external_id": Queryable(Site.external_id, STRING),
    "owner_id": Queryable(Site.owner_id, ID),
    "version": Queryable(Site.version, {"type": "integer", "minimum": 1, "maximum": MAX_VERSION}),
    "created_at": Queryable(Site.created_at, MOMENT),
    "updated_at": Queryable(Site.updated_at, MOMENT),
}
TYPES: Final = {"uuid": "string", "date-time": "timestamp", "geometry-any": "geometry", "integer": "number"}


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A value in SQL: a string, number, boolean, date, timestamp, interval or geometry.

    A date and an interval last from `sql` to `end`; for all else the two are one.
    """

    type: str
    shown: str
    sql: ColumnElement[Any]
    end: ColumnElement[Any]
    text: str | None = None  # of a string literal
    boxes: Sequence[Box] = ()  # of a BBOX in degrees


def operand(type_: str, node: Any, sql: ColumnElement[Any], *, text: str | None = None) -> Operand:
    return Operand(type=type_, shown=show(node), sql=sql, end=sql, text=text)


def property_operand(name: str, path: Path) -> Operand:
    queryable = QUERYABLES.get(name)
    if queryable is None:
        raise refused(Fault.PROPERTY_UNKNOWN, path, name=name[:40], known=", ".join(QUERYABLES))
    schema = queryable.schema
    kind = schema.get("format", schema.get("type", ""))
    return operand(TYPES.get(kind, kind), {"property": name}, queryable.column.expression)


def scalar_literal(value: Any, path: Path) -> Operand:
    """A string, number or boolean."""
    match value:
        case bool():
            return operand("boolean", value, literal(value, Boolean))
        case str():
            if not is_storable(value):  # JSON spells NUL by an escape
                raise refused(Fault.UNSTORABLE, path)
            return operand("string", value, literal(value, Text), text=value)
        case int() | float():
            if not math.isfinite(value):
                raise refused(Fault.NUMBER_TOO_LARGE, path)
            return operand("number", value, literal(float(value), Float))
        case None:
            raise refused(Fault.NULL_COMPARED, path)
        case _:
            raise refused(Fault.VALUE_NEEDED, path, shown=show(value))


def comparable(operands: Sequence[Operand]) -> list[ColumnElement[Any]]:
    """Strings that the database can compare: ids as ids, by their index, where each is one, and else as text."""
    if all(_is_id(one) or UUID.fullmatch(one.text or "") for one in operands):
        return [one.sql if one.text is None else literal(uuid.UUID(one.text), Guid) for one in operands]
    return [as_text(one) for one in operands]


def as_text(one: Operand) -> ColumnElement[Any]:
    return cast(one.sql, Text) if _is_id(one) else one.sql


def _is_id(one: Operand) -> bool:
    return isinstance(one.sql.type, Guid)
