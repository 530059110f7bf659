"""Many rows at once: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg2
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.db.types import is_postgresql

COPY_BYTES = 1024**2

Row = Sequence[str | int | bytes | None]


def extend_timeout(session: Session, limit: timedelta) -> None:
    """Let each further statement of this transaction take so long."""
    if is_postgresql(session):
        session.execute(text(f"SET LOCAL statement_timeout = {int(limit.total_seconds() * 1000)}"))


def load(session: Session, table: Table, rows: Sequence[Row]) -> None:
    """Put rows into a table; their texts are not empty, and JSON and times are texts already."""
    connection = session.connection()
    if is_postgresql(connection):
        lines = "".join(",".join(map(_cell, row)) + "\n" for row in rows)
        cursor: Any = connection.connection.cursor()
        with closing(cursor):
            statement = f"COPY {table.name} FROM STDIN WITH (FORMAT csv)"
            try:
                cursor.copy_expert(statement, StringIO(lines), COPY_BYTES)
            except psycopg2.Error as error:  # as SQLAlchemy, which has no part in a COPY, would raise it
                raise DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
    else:
        marks = ",".join("?" * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", [tuple(row) for row in rows])  # noqa: S608


def _cell(value: str | int | bytes | None) -> str:
    """As COPY reads CSV; the standard library's writer leaves a lone carriage return unquoted before Python 3.13."""
    if value is None:
        return ""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value.hex() if isinstance(value, bytes) else str(value)
