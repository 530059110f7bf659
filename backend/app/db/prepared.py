"""Statements that a connection keeps prepared: PostgreSQL parses and plans them once, and not for each request.

For statements whose best plan is the same for all their parameters: PostgreSQL makes it without knowing them. What
type a parameter has it concludes from where it stands, so one that chooses between functions has to be a literal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg2 import errors

PREPARED = "landfall_prepared"  # the execution option of such a statement; other connections execute it as it is
MOST = 32  # of a connection, whose process holds their plans: some 100 kB each
GENERIC = "SET LOCAL plan_cache_mode = force_generic_plan"  # else the first five would be planned, and some for ever


@dataclass(frozen=True, kw_only=True)
class _Statement:
    name: str
    make: str
    call: str


class _Places(dict[str, str]):
    """PostgreSQL's names of a statement's parameters, in the order in which they come."""

    def __missing__(self, name: str) -> str:
        place = self[name] = f"${len(self) + 1}"
        return place


@lru_cache(maxsize=256)
def _prepared(text: str) -> _Statement:
    places = _Places()
    body = (text % places).replace("%", "%%")
    name = f"landfall_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    given = f" ({', '.join(f'%({place})s' for place in places)})" if places else ""
    return _Statement(name=name, make=f"PREPARE {name} AS {body}; ", call=f"EXECUTE {name}{given}")


def execute(cursor: Any, opening: str, text: str, parameters: Mapping[str, Any]) -> None:
    """Execute `text` after `opening`, in one message, by the connection's `prepared`, the names of what it has.

    By its text a statement has the same name everywhere. So it is all one through PgBouncer, where the server's
    connection is another with each message, and others use it too: what it lacks is made, once for all of them.
    """
    statement, names = _prepared(text), cursor.connection.prepared
    call = f"{opening}; {GENERIC}; {statement.call}"
    ahead = ""
    if statement.name not in names:
        if len(names) >= MOST:
            ahead = "DEALLOCATE ALL; "
            names.clear()
        ahead += statement.make
        names.add(statement.name)
    for _ in range(3):
        try:
            cursor.execute(ahead + call, parameters)
        except errors.InvalidSqlStatementName:  # another connection of the server's, or somebody removed it
            ahead = statement.make
        except errors.DuplicatePreparedStatement:
            ahead = ""
        except errors.FeatureNotSupported:  # "cached plan must not change result type": a migration changed a column
            ahead = f"DEALLOCATE {statement.name}; {statement.make}"
        else:
            return
    cursor.execute(f"{opening}; {text}", parameters)
