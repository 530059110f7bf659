"""Text to CQL2 JSON by the package cql2, which is kept from what it cannot stand.

Its parser (0.6.0) tries each parenthesis twice, within it again, so that 24 of them hold up the whole process for a
minute; some thousand operators in a chain overflow its stack, which kills the process. So a text is scanned first.
"""

from __future__ import annotations

import re
from typing import Any

import cql2

from app.schemas.common import is_storable
from app.schemas.site import FilterLang
from app.services.cql2.faults import SHOWN_CHARACTERS, Fault, refused

MAX_CHARACTERS = 8000
MAX_DEPTH = 32  # levels of nesting
MAX_NODES = 200  # properties, values and operators
MAX_TOKENS = 3 * MAX_NODES  # a node has three at most: INTERVAL('…','…')
MAX_WORK = 2**17  # characters that the parser reads, again and again at worst: a quarter of a second

# Parentheses after these are not tried twice; of other words the parser may take a part for AND, NOT and the like.
CALL = re.compile(
    r"[st]_\w+|casei|date|timestamp|interval|bbox|(?:multi)?(?:point|linestring|polygon)|geometrycollection",
    re.IGNORECASE | re.ASCII,
)
TOKEN = re.compile(
    r"(?P<string>'(?:''|\\.|[^'\\])*')"
    r'|(?P<name>"(?:""|[^"])*"|[^\W\d][\w.:]*)'
    r"|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<open>\()|(?P<close>\))|(?P<operator>[-+*/%^<>=!])",
    re.DOTALL,
)
# OGC 21-065, /req/cql2-text/escaping; the parser knows '' only. Other backslashes are left to LIKE.
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
ESCAPED = dict(zip("abtnvfr'\\", ["\a", "\b", "\t", "\n", "\v", "\f", "\r", "''", "\\"], strict=True))
LARGEST_WRITTEN_OUT = 1e15  # the parser knows neither .5 nor, in a geometry, 1e2
PLACE = re.compile(r"--> (\d+):(\d+)")


def parse(text: str, *, lang: FilterLang) -> Any:
    """The filter as CQL2 JSON, not yet checked for what it says; raises `FilterInvalidError`."""
    if len(text) > MAX_CHARACTERS:
        raise refused(Fault.TOO_LONG, limit=MAX_CHARACTERS)
    if not is_storable(text):
        raise refused(Fault.UNSTORABLE)
    is_text = lang == "cql2-text"
    source = _prepared(text) if is_text else text
    try:
        return (cql2.parse_text(source) if is_text else cql2.parse_json(source)).to_json()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - it raises bare Exceptions, and a panic of Rust is none of these
        raise (_unreadable(source, error) if is_text else _not_json(error)) from None


def _prepared(text: str) -> str:
    """The text in the parser's dialect; raises what is too much for it."""
    parts: list[str] = []
    calls: list[bool] = []  # of the open parentheses
    copied = tokens = work = 0
    before = ""
    for token in TOKEN.finditer(text):
        work += (token.end() - copied) << calls.count(False)
        parts += [text[copied : token.start()], _respelt(token)]
        copied = token.end()
        if token["open"]:
            calls.append(CALL.fullmatch(before) is not None)
        elif token["close"]:
            del calls[-1:]
        tokens += not (token["number"] or token["open"] or token["close"])
        before = token[0]
        if len(calls) > MAX_DEPTH or work > MAX_WORK:
            raise refused(Fault.TOO_DEEP, limit=MAX_DEPTH)
        if tokens > MAX_TOKENS:
            raise refused(Fault.TOO_LARGE, limit=MAX_NODES)
    return "".join([*parts, text[copied:]])


def _respelt(token: re.Match[str]) -> str:
    if token["string"]:
        return ESCAPE.sub(lambda escape: ESCAPED.get(escape[1], escape[0]), token[0])
    if token["number"] and abs(value := float(token[0])) < LARGEST_WRITTEN_OUT:
        return f"{value:.15f}"
    return token[0]


def _unreadable(source: str, error: BaseException) -> Exception:
    place = PLACE.search(str(error))
    if place is None:
        return refused(Fault.TEXT_UNREADABLE, near=str(error).splitlines()[0][:200])
    line, column = int(place[1]) - 1, int(place[2]) - 1
    rest = "\n".join(source.split("\n")[line:])[column:].strip()
    if not rest:
        return refused(Fault.TEXT_ENDS)
    return refused(Fault.TEXT_UNREADABLE, near=rest[:SHOWN_CHARACTERS])


def _not_json(error: BaseException) -> Exception:
    reason = str(error).splitlines()[0]
    if "untagged enum" in reason:
        reason = "a member is missing, unknown or of the wrong type."
    return refused(Fault.JSON_UNREADABLE, reason=reason[:200])
