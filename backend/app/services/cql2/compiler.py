"""CQL2 JSON to SQL: what is not named here is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, not_, or_, true

from app.db.predicates import case_folded
from app.schemas.crs import Crs
from app.services.cql2 import spatial, temporal
from app.services.cql2.faults import Fault, Path, refused, show
from app.services.cql2.operands import Operand, as_text, comparable, operand, property_operand, scalar_literal
from app.services.cql2.parsing import MAX_DEPTH, MAX_NODES

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TIMES: Final = ("date", "timestamp", "interval")
INSTANTS: Final = ("date", "timestamp")
ESCAPE: Final = "\\"


class Compiler:
    """Compiles one filter; each method takes a part of it and the path that leads there."""

    def __init__(self, *, crs: Crs) -> None:
        self._crs = crs
        self._nodes = 0
        self._predicates: dict[str, Callable[[str, list[Any], Path], ColumnElement[bool]]] = {
            "and": self._junction,
            "or": self._junction,
            "not": self._not,
            "isNull": self._is_null,
            **dict.fromkeys(COMPARISONS, self._comparison),
            "like": self._like,
            "between": self._between,
            "in": self._in,
            **dict.fromkeys(spatial.RELATIONS, self._spatial),
            **dict.fromkeys(temporal.RELATIONS, self._temporal),
            **dict.fromkeys(temporal.INTERVAL_RELATIONS, self._temporal),
        }

    def predicate(self, node: Any, path: Path) -> ColumnElement[bool]:
        self._enter(path)
        match node:
            case bool():
                return true() if node else false()
            case {"op": str(op), "args": list(args)} if op != "casei":
                if op not in self._predicates:
                    raise self._unknown(op, path)
                return self._predicates[op](op, args, path)
        raise refused(Fault.CONDITION_NEEDED, path, shown=show(node))

    def _value(self, node: Any, path: Path) -> Operand:
        self._enter(path)
        match node:
            case {"property": str(name)}:
                return property_operand(name, path)
            case {"op": "casei", "args": list(args)}:
                inner = self._texts("casei", args, path, expected=1)[0]
                return operand("string", node, case_folded(as_text(inner)))
            case {"op": str(op)} if op not in self._predicates:
                raise self._unknown(op, path)
            case {"date": _} | {"timestamp": _}:
                return temporal.time_literal(node, path)
            case {"interval": _}:
                return temporal.interval(node, path)
            case {"bbox": _} | {"type": str()}:
                return spatial.geometry_literal(node, self._crs, path)
            case _:
                return scalar_literal(node, path)

    def _junction(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        if len(args) < 2:  # noqa: PLR2004
            raise refused(Fault.ARGUMENT_COUNT, path, op=op, count=len(args), expected="2+")
        parts = [self.predicate(part, (*path, "args", index)) for index, part in enumerate(args)]
        return and_(*parts) if op == "and" else or_(*parts)

    def _not(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        self._count(op, args, path, expected=1)
        return not_(self.predicate(args[0], (*path, "args", 0)))

    def _is_null(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        self._count(op, args, path, expected=1)
        at = (*path, "args", 0)
        match args[0]:
            case {"op": str(inner)} if inner in self._predicates:
                return self.predicate(args[0], at).is_(None)
        value = self._value(args[0], at)
        return value.sql.is_(None) if value.end is value.sql else or_(value.sql.is_(None), value.end.is_(None))

    def _comparison(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        one, other = self._values(op, args, path, expected=2)
        if one.type in INSTANTS and other.type in INSTANTS:
            return temporal.COMPARISONS[op](one, other)
        return COMPARISONS[op](*self._alike(op, [one, other], path))

    def _like(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        value, pattern = self._texts(op, args, path, expected=2)
        written = args[1]
        while isinstance(written, dict) and written.get("op") == "casei":
            written = written["args"][0]
        if not isinstance(written, str):
            raise refused(Fault.LITERAL_NEEDED, (*path, "args", 1), shown=show(written))
        if (len(written) - len(written.rstrip(ESCAPE))) % 2:
            raise refused(Fault.PATTERN_UNFINISHED, (*path, "args", 1), shown=show(written))
        return as_text(value).like(pattern.sql, escape=ESCAPE)

    def _between(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        value, low, high = self._values(op, args, path, expected=3)
        if all(one.type in INSTANTS for one in (value, low, high)):
            return and_(value.end >= low.sql, value.sql <= high.end)
        subject, start, end = self._alike(op, [value, low, high], path)
        return subject.between(start, end)

    def _in(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        self._count(op, args, path, expected=2)
        at = (*path, "args", 1)
        if not isinstance(args[1], list) or not args[1]:
            raise refused(Fault.LIST_NEEDED, at)
        value = self._value(args[0], (*path, "args", 0))
        items = [self._value(item, (*at, index)) for index, item in enumerate(args[1])]
        if all(one.type in INSTANTS for one in (value, *items)):
            return or_(*(temporal.COMPARISONS["="](value, item) for item in items))
        subject, *choices = self._alike(op, [value, *items], path)
        return subject.in_(choices)

    def _spatial(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        one, other = self._typed(op, args, path, types=("geometry",), expected=2)
        return spatial.relation(op, one, other)

    def _temporal(self, op: str, args: list[Any], path: Path) -> ColumnElement[bool]:
        one, other = self._typed(op, args, path, types=TIMES, expected=2)
        return temporal.relation(op, one, other, path)

    def _alike(self, op: str, operands: Sequence[Operand], path: Path) -> list[ColumnElement[Any]]:
        """Scalars of one type."""
        first = operands[0]
        for other in operands[1:]:
            if other.type != first.type:
                shown = f"{first.shown} {op} {other.shown}"
                raise refused(Fault.TYPES_DIFFER, path, shown=shown, left=first.type, right=other.type)
        if first.type in {"geometry", "interval"}:
            expected = "string, number, boolean, timestamp"
            raise refused(Fault.TYPE_WRONG, path, op=op, expected=expected, shown=first.shown, type=first.type)
        return comparable(operands) if first.type == "string" else [one.sql for one in operands]

    def _texts(self, op: str, args: list[Any], path: Path, *, expected: int) -> list[Operand]:
        return self._typed(op, args, path, types=("string",), expected=expected)

    def _typed(self, op: str, args: list[Any], path: Path, *, types: Sequence[str], expected: int) -> list[Operand]:
        values = self._values(op, args, path, expected=expected)
        for index, one in enumerate(values):
            if one.type not in types:
                at = (*path, "args", index)
                raise refused(Fault.TYPE_WRONG, at, op=op, expected=types[-1], shown=one.shown, type=one.type)
        return values

    def _values(self, op: str, args: list[Any], path: Path, *, expected: int) -> list[Operand]:
        self._count(op, args, path, expected=expected)
        return [self._value(part, (*path, "args", index)) for index, part in enumerate(args)]

    def _count(self, op: str, args: list[Any], path: Path, *, expected: int) -> None:
        if len(args) != expected:
            raise refused(Fault.ARGUMENT_COUNT, path, op=op, count=len(args), expected=expected)

    def _unknown(self, op: str, path: Path) -> Exception:
        known = ", ".join([*self._predicates, "casei"])
        return refused(Fault.OPERATOR_UNKNOWN, path, op=op[:40], known=known)

    def _enter(self, path: Path) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise refused(Fault.TOO_LARGE, limit=MAX_NODES)
        if path.count("args") > MAX_DEPTH:
            raise refused(Fault.TOO_DEEP, limit=MAX_DEPTH)
