"""German for filters; `app.messages_de` has the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FILTER: Final[Mapping[str, str]] = {
    "The filter is not valid": "Der Filter ist ungültig",
    "The filter cannot be used: see errors.": "Der Filter ist nicht verwendbar: siehe errors.",
    "A filter may have {limit} characters at most.": "Ein Filter darf höchstens {limit} Zeichen haben.",
    "The filter is nested too deep. It may have {limit} levels at most, and fewer the longer it is: "
    "leave out parentheses that change nothing, or send cql2-json.": (
        "Der Filter ist zu tief verschachtelt. Erlaubt sind höchstens {limit} Ebenen, und umso weniger, je länger er "
        "ist: Lass Klammern weg, die nichts ändern, oder sende cql2-json."
    ),
    "The filter has too many parts: properties, values and operators may be {limit} at most.": (
        "Der Filter hat zu viele Teile: Erlaubt sind höchstens {limit} Eigenschaften, Werte und Operatoren."
    ),
    "A filter may have neither NUL nor half a surrogate pair.": (
        "Ein Filter darf weder NUL noch ein halbes Surrogatpaar enthalten."
    ),
    "The CQL2 text ends too early: an operand, a quote or a parenthesis is missing.": (
        "Der CQL2-Text endet zu früh: Es fehlt ein Operand, ein Anführungszeichen oder eine Klammer."
    ),
    "The CQL2 text cannot be read from here on: {near}": "Der CQL2-Text ist ab hier nicht lesbar: {near}",
    "The filter is not CQL2 JSON: {reason}": "Der Filter ist kein CQL2 JSON: {reason}",
    "{shown} is not a condition. Compare it with something.": ("{shown} ist keine Bedingung. Vergleiche es mit etwas."),
    "{shown} is not a value. Use a property or a literal.": (
        "{shown} ist kein Wert. Nimm eine Eigenschaft oder ein Literal."
    ),
    "There is no property {name}. There are: {known}.": "Die Eigenschaft {name} gibt es nicht. Es gibt: {known}.",
    "{op} is not supported. There are: {known}.": "{op} wird nicht unterstützt. Es gibt: {known}.",
    "{op} has {count} arguments; it takes {expected}.": "{op} hat {count} Argumente; nötig sind {expected}.",
    "{shown} does not work: the one is of type {left}, the other {right}.": (
        "{shown} geht nicht: Das eine ist vom Typ {left}, das andere {right}."
    ),
    "{op} takes values of type {expected}; {shown} is of type {type}.": (
        "{op} nimmt Werte vom Typ {expected}; {shown} ist vom Typ {type}."
    ),
    "NULL equals nothing, not even itself. Use IS NULL.": "NULL ist keinem Wert gleich, auch sich nicht. Nimm IS NULL.",
    "The number is too large.": "Die Zahl ist zu groß.",
    "The pattern {shown} ends with a backslash that escapes nothing.": (
        "Das Muster {shown} endet mit einem Backslash, der nichts maskiert."
    ),
    "The pattern of LIKE must be a text, not {shown}.": "Das Muster von LIKE muss ein Text sein, nicht {shown}.",
    "IN takes a list with at least one value, such as kind IN ('pump', 'well').": (
        "IN nimmt eine Liste mit mindestens einem Wert, etwa kind IN ('pump', 'well')."
    ),
    "{shown} is not a time. Write DATE('2026-11-30') or TIMESTAMP('2026-11-30T08:00:00Z').": (
        "{shown} ist keine Zeit. Schreibe DATE('2026-11-30') oder TIMESTAMP('2026-11-30T08:00:00Z')."
    ),
    "The interval {shown} ends before it starts.": "Der Zeitraum {shown} endet, bevor er anfängt.",
    "{op} compares intervals, and {shown} is an instant. Use t_intersects, t_before or t_after.": (
        "{op} vergleicht Zeiträume, und {shown} ist ein Zeitpunkt. Nimm t_intersects, t_before oder t_after."
    ),
    "A BBOX has four numbers, west, south, east and north, or six with altitudes.": (
        "Eine BBOX hat vier Zahlen, Westen, Süden, Osten und Norden, oder sechs mit Höhen."
    ),
    "{shown} is not a valid geometry.": "{shown} ist keine gültige Geometrie.",
    "{shown} goes beyond the bounds of its reference system: {bounds}.": (
        "{shown} reicht über die Grenzen seines Referenzsystems hinaus: {bounds}."
    ),
}
