"""Databases in a known state."""

from __future__ import annotations

from sqlalchemy import Connection, text

# Only tables that were written to have a size, so that an untouched schema costs one query: truncating all of them
# takes 20 ms, and DELETE would leave the planner's statistics of the test before.
WRITTEN_TABLES = text(
    "SELECT string_agg(format('%I', relname), ', ') FROM pg_class WHERE relkind = 'r'"
    " AND relnamespace = 'public'::regnamespace AND relname NOT IN ('alembic_version', 'spatial_ref_sys')"
    " AND pg_relation_size(oid) > 0"
)


def empty_all_tables(connection: Connection) -> None:
    """Empty the migrated schema; fails within seconds where a test before left a transaction open."""
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    if tables := connection.scalar(WRITTEN_TABLES):
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
