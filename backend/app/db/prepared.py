"""Statements that a connection keeps prepared: PostgreSQL parses and plans them once, and not for each request.

For statements of which one plan is good for all their parameters: PostgreSQL makes it without knowing them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg2 import errors
from sqlalchemy.types import BigInteger, Boolean, Float, Integer, Numeric, TypeEngine

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
def _prepared(text: str, compiled: Any) -> _Statement:
    places = _Places()
    body = (text % places).replace("%", "%%")
    types = {name: _type_of(parameter.type) for parameter, name in compiled.bind_names.items()}
    declared = f" ({', '.join(types.get(place, 'unknown') for place in places)})" if places else ""
    given = f" ({', '.join(f'%({place})s' for place in places)})" if places else ""
    name = f"landfall_{hashlib.sha256((declared + body).encode()).hexdigest()[:16]}"
    return _Statement(name=name, make=f"PREPARE {name}{declared} AS {body}; ", call=f"EXECUTE {name}{given}")


def _type_of(kind: TypeEngine[Any]) -> str:
    """As literals have it: a number is one, and what is in quotes is what its place wants."""
    if isinstance(kind, Integer):
        return "bigint" if isinstance(kind, BigInteger) else "integer"
    if isinstance(kind, (Float, Numeric)):
        return "double precision"
    return "boolean" if isinstance(kind, Boolean) else "unknown"


def execute(cursor: Any, opening: str, text: str, parameters: Mapping[str, Any], *, compiled: Any) -> None:
    """Execute `text` after `opening`, in one message, by the connection's `prepared`, the names of what it has.

    By its text a statement has the same name everywhere. So it is all one through PgBouncer, where the server's
    connection is another with each message, and others use it too: what it lacks is made, what it has is used.
    """
    statement, names = _prepared(text, compiled), cursor.connection.prepared
    ahead = ""
    if statement.name not in names:
        if len(names) >= MOST:
            ahead = "DEALLOCATE ALL; "
            names.clear()
        ahead += statement.make
        names.add(statement.name)
    for _ in range(3):
        try:
            # The limits first: to prepare something may wait for a lock.
            cursor.execute(f"{opening}; {GENERIC}; {ahead}{statement.call}", parameters)
        except errors.InvalidSqlStatementName:  # another connection of the server's, or somebody removed it
            ahead = statement.make
        except errors.DuplicatePreparedStatement:
            ahead = ""
        except errors.FeatureNotSupported:  # "cached plan must not change result type": a migration changed a column
            ahead = f"DEALLOCATE {statement.name}; {statement.make}"
        else:
            return
    cursor.execute(f"{opening}; {text}", parameters)
