"""Indexes that an interrupted CONCURRENTLY left behind: there, unused by queries, and in the way of the next try."""

from __future__ import annotations

from typing import Any, List, Tuple

from .database import execute, quoted

INVALID = (
    "SELECT n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i'"
    " AND n.nspname !~ '^pg_'"
    # Who builds one holds this lock on its table to the end.
    " AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = i.indrelid AND l.granted"
    " AND l.mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock'))"
    " ORDER BY 1, 2"
)

Names = List[Tuple[str, str]]


def invalid_indexes(connection: Any) -> Names:
    """The invalid ones as (schema, name), without those that are being built.

    Asked twice: one that was finished between reading the index and reading the locks is valid the second time.
    """
    first = _invalid(connection)
    return [pair for pair in _invalid(connection) if pair in first] if first else []


def drop(connection: Any, names: Names) -> None:
    for schema, name in names:
        connection.exec_driver_sql("DROP INDEX CONCURRENTLY IF EXISTS %s" % quoted(schema, name).replace("%", "%%"))


def _invalid(connection: Any) -> Names:
    return [(row[0], row[1]) for row in execute(connection, INVALID)]
