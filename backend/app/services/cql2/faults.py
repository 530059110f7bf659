"""What can be wrong with a filter."""

from __future__ import annotations

from enum import Enum
from typing import Any

from app.errors import FieldProblem, FilterInvalidError

LOC = ("query", "filter")
SHOWN_CHARACTERS = 40  # of what the client wrote

Path = tuple[str | int, ...]


class Fault(Enum):
    """An English template; the name in lower case is the problem's `type`."""

    TOO_LONG = "A filter may have {limit} characters at most."
    TOO_DEEP = (
        "The filter is nested too deep. It may have {limit} levels at most, and fewer the longer it is: "
        "leave out parentheses that change nothing, or send cql2-json."
    )
    TOO_LARGE = "The filter has too many parts: properties, values and operators may be {limit} at most."
    UNSTORABLE = "A filter may have neither NUL nor half a surrogate pair."
    TEXT_ENDS = "The CQL2 text ends too early: an operand, a quote or a parenthesis is missing."
    TEXT_UNREADABLE = "The CQL2 text cannot be read from here on: {near}"
    JSON_UNREADABLE = "The filter is not CQL2 JSON: {reason}"
    CONDITION_NEEDED = "{shown} is not a condition. Compare it with something."
    VALUE_NEEDED = "{shown} is not a value. Use a property or a literal."
    PROPERTY_UNKNOWN = "There is no property {name}. There are: {known}."
    OPERATOR_UNKNOWN = "{op} is not supported. There are: {known}."
    ARGUMENT_COUNT = "{op} has {count} arguments; it takes {expected}."
    TYPES_DIFFER = "{shown} does not work: the one is of type {left}, the other {right}."
    TYPE_WRONG = "{op} takes values of type {expected}; {shown} is of type {type}."
    NULL_COMPARED = "NULL equals nothing, not even itself. Use IS NULL."
    NUMBER_TOO_LARGE = "The number is too large."
    PATTERN_UNFINISHED = r"The pattern {shown} ends with a backslash that escapes nothing."
    LITERAL_NEEDED = "The pattern of LIKE must be a text, not {shown}."
    LIST_NEEDED = "IN takes a list with at least one value, such as kind IN ('pump', 'well')."
    TIME_INVALID = "{shown} is not a time. Write DATE('2026-11-30') or TIMESTAMP('2026-11-30T08:00:00Z')."
    INTERVAL_BACKWARD = "The interval {shown} ends before it starts."
    INTERVAL_NEEDED = "{op} compares intervals, and {shown} is an instant. Use t_intersects, t_before or t_after."
    BBOX_FORM = "A BBOX has four numbers, west, south, east and north, or six with altitudes."
    GEOMETRY_INVALID = "{shown} is not a valid geometry."
    OUT_OF_BOUNDS = "{shown} goes beyond the bounds of its reference system: {bounds}."


TEMPLATES = tuple(fault.value for fault in Fault)


def refused(fault: Fault, path: Path = (), **params: Any) -> FilterInvalidError:
    """The error; `path` leads through the filter as CQL2 JSON."""
    problem = FieldProblem(loc=(*LOC, *path), type=fault.name.lower(), message=fault.value, params=params)
    return FilterInvalidError(errors=[problem])


def show(node: Any) -> str:
    """A part of a filter much as CQL2 text has it, cut short."""
    match node:
        case {"property": name}:
            text = str(name)
        case {"op": op}:
            text = f"{op}(…)"
        case {"type": kind}:
            text = f"{kind}(…)".upper()
        case {"bbox": _}:
            text = "BBOX(…)"
        case {"date": value} | {"timestamp": value}:
            text = f"{next(iter(node)).upper()}('{value}')"
        case {"interval": [start, end]}:
            return f"INTERVAL({show(start)},{show(end)})"
        case None | bool():
            text = str(node).upper().replace("NONE", "NULL")
        case int() | float():
            text = f"{node:.15g}"
        case str():
            text = f"'{node}'"
        case _:
            text = "(…)"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
