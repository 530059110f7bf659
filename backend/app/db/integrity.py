"""Which constraint a refused write violated."""

from __future__ import annotations

import re

from sqlalchemy.exc import IntegrityError

_SQLITE_CHECK = re.compile(r"CHECK constraint failed: (\w+)")
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (\w+)\.\w+(?:, |$)")


def violated_constraint(error: IntegrityError) -> str | None:
    """The constraint's name by our naming convention; None where SQLite does not tell (foreign keys)."""
    diagnostics = getattr(error.orig, "diag", None)
    if diagnostics is not None:
        return str(diagnostics.constraint_name)
    text = str(error.orig)
    if check := _SQLITE_CHECK.match(text):
        return check[1]
    table = _SQLITE_UNIQUE.match(text)
    if table is None:
        return None
    columns = re.findall(r"\.(\w+)", text.removeprefix("UNIQUE constraint failed:"))
    return "_".join(["uq", table[1], *columns])
