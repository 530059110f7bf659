"""Times of CQL2: an instant or an interval, closed at both ends; a date lasts its whole day in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, literal, not_, or_

from app.db.types import UtcDateTime
from app.schemas.common import DATE, TIMESTAMP
from app.services.cql2.faults import Fault, Path, refused, show
from app.services.cql2.operands import Operand, property_operand

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

Relation = Callable[[Operand, Operand], ColumnElement[bool]]


def _meet(one: Operand, other: Operand) -> ColumnElement[bool]:
    return and_(one.sql <= other.end, one.end >= other.sql)


COMPARISONS: Final[Mapping[str, Relation]] = {
    "=": _meet,
    "<>": lambda a, b: not_(_meet(a, b)),
    "<": lambda a, b: a.end < b.sql,
    "<=": lambda a, b: a.sql <= b.end,
    ">": lambda a, b: a.sql > b.end,
    ">=": lambda a, b: a.end >= b.sql,
}
RELATIONS: Final[Mapping[str, Relation]] = {
    "t_after": lambda a, b: a.sql > b.end,
    "t_before": lambda a, b: a.end < b.sql,
    "t_disjoint": lambda a, b: or_(a.end < b.sql, a.sql > b.end),
    "t_equals": lambda a, b: and_(a.sql == b.sql, a.end == b.end),
    "t_intersects": _meet,
}
INTERVAL_RELATIONS: Final[Mapping[str, Relation]] = {
    "t_contains": lambda a, b: and_(a.sql < b.sql, a.end > b.end),
    "t_during": lambda a, b: and_(a.sql > b.sql, a.end < b.end),
    "t_finishedBy": lambda a, b: and_(a.sql < b.sql, a.end == b.end),
    "t_finishes": lambda a, b: and_(a.sql > b.sql, a.end == b.end),
    "t_meets": lambda a, b: a.end == b.sql,
    "t_metBy": lambda a, b: a.sql == b.end,
    "t_overlappedBy": lambda a, b: and_(b.sql < a.sql, a.sql < b.end, b.end < a.end),
    "t_overlaps": lambda a, b: and_(a.sql < b.sql, b.sql < a.end, a.end < b.end),
    "t_startedBy": lambda a, b: and_(a.sql == b.sql, a.end > b.end),
    "t_starts": lambda a, b: and_(a.sql == b.sql, a.end < b.end),
}


def relation(op: str, one: Operand, other: Operand, path: Path) -> ColumnElement[bool]:
    """A temporal function; both operands are times."""
    if op in RELATIONS:
        return RELATIONS[op](one, other)
    for side in (one, other):
        if side.type != "interval":
            raise refused(Fault.INTERVAL_NEEDED, path, op=op, shown=side.shown)
    return INTERVAL_RELATIONS[op](one, other)


def time_literal(node: Mapping[str, Any], path: Path) -> Operand:
    """`{"date": …}` or `{"timestamp": …}`."""
    ((kind, text),) = node.items()
    first, last = _bounds(text, DATE if kind == "date" else TIMESTAMP, node, path)
    return Operand(type=kind, shown=show(node), sql=literal(first, UtcDateTime), end=literal(last, UtcDateTime))


def interval(node: Mapping[str, Any], path: Path) -> Operand:
    """`{"interval": [start, end]}`, each a time, `..` or a property."""
    ends = node["interval"]
    if not isinstance(ends, list) or len(ends) != len(ALWAYS):
        raise refused(Fault.TIME_INVALID, path, shown=show(node))
    start, end = (_interval_end(part, index, path) for index, part in enumerate(ends))
    if isinstance(start, datetime) and isinstance(end, datetime) and start > end:
        raise refused(Fault.INTERVAL_BACKWARD, path, shown=show(node))
    return Operand(type="interval", shown=show(node), sql=_moment(start), end=_moment(end))


def _interval_end(part: Any, index: int, path: Path) -> datetime | ColumnElement[Any]:
    path = (*path, "interval", index)
    if isinstance(part, dict) and isinstance(part.get("property"), str):
        found = property_operand(part["property"], path)
        if found.type != "timestamp":
            raise refused(
                Fault.TYPE_WRONG, path, op="interval", expected="timestamp", shown=found.shown, type=found.type
            )
        return found.sql
    if part == "..":
        return ALWAYS[index]
    is_date = isinstance(part, str) and DATE.fullmatch(part)
    return _bounds(part, DATE if is_date else TIMESTAMP, part, path)[index]


def _bounds(text: Any, form: re.Pattern[str], node: Any, path: Path) -> tuple[datetime, datetime]:
    is_written_so = isinstance(text, str) and form.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text.upper() if is_written_so else "")
        if form is TIMESTAMP:
            return (moment.astimezone(UTC),) * 2
    except (ValueError, OverflowError):
        raise refused(Fault.TIME_INVALID, path, shown=show(node)) from None
    return datetime.combine(moment, time.min, UTC), datetime.combine(moment, time.max, UTC)


def _moment(value: datetime | ColumnElement[Any]) -> ColumnElement[Any]:
    return literal(value, UtcDateTime) if isinstance(value, datetime) else value
