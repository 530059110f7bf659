"""SQL as PostgreSQL cuts it: into statements, with what is no code (comments, strings, quoted names) told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What a semicolon or a keyword does not count in. E'' knows backslashes, a quoted name does not.
QUIET = re.compile(
    r"""
      (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<escaped> \b[eE]'(?:[^'\\]|\\.|'')*' )
    | (?P<string> '(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<dollar> (?<![\w$]) \$(?P<tag>[^\W\d]\w*|)\$ .*? \$(?P=tag)\$ )
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK_EDGE = re.compile(r"/\*|\*/")
ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)
ATOMIC_EDGE = re.compile(r"\b(?:BEGIN|CASE|END)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement without its semicolon; all three texts have the same length, with blanks for what is left out.

    code: without comments, and without what stands in strings and quoted names; text: without comments.
    """

    start: int
    code: str
    text: str

    @property
    def head(self) -> str:
        """The first word, in capitals."""
        match = re.match(r"\s*\(*\s*(\w+)", self.code)
        return match[1].upper() if match else ""

    def line(self, sql: str, offset: int = 0) -> int:
        """The line of a place in the statement, from 1."""
        return sql.count("\n", 0, self.start + offset) + 1


def statements(sql: str) -> list[Statement]:
    """The statements that say something, in order."""
    code, text = _blanked(sql)
    found = [Statement(start=a, code=code[a:b], text=text[a:b]) for a, b in _cuts(code)]
    return [statement for statement in found if statement.code.strip()]


def blank(text: str) -> str:
    """As long, with as many lines, and empty."""
    return re.sub(r"[^\n]", " ", text)


def _blanked(sql: str) -> tuple[str, str]:
    code, text, at = [], [], 0
    while match := QUIET.search(sql, at):
        end = _block_end(sql, match.start()) if match.lastgroup == "block" else match.end()
        whole = sql[match.start() : end]
        is_comment = whole.startswith(("--", "/*"))
        edge = 0 if is_comment else 1
        code += [
            sql[at : match.start()],
            whole[:edge],
            blank(whole[edge : len(whole) - edge]),
            whole[len(whole) - edge :],
        ]
        text += [sql[at : match.start()], blank(whole) if is_comment else whole]
        at = end
    return "".join([*code, sql[at:]]), "".join([*text, sql[at:]])


def _block_end(sql: str, start: int) -> int:
    """Comments nest in PostgreSQL."""
    depth = 0
    for edge in BLOCK_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _cuts(code: str) -> Iterator[tuple[int, int]]:
    start = at = 0
    while (semicolon := code.find(";", at)) >= 0:
        atomic = ATOMIC.search(code, start, semicolon)
        if atomic:
            semicolon = code.find(";", _body_end(code, atomic.start()))
            if semicolon < 0:
                break
        yield start, semicolon
        start = at = semicolon + 1
    yield start, len(code)


def _body_end(code: str, start: int) -> int:
    depth = 0
    for edge in ATOMIC_EDGE.finditer(code, start):
        depth += -1 if edge[0].upper() == "END" else 1
        if depth == 0:
            return edge.end()
    return len(code)
