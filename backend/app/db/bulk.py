"""Many rows at once: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows, whose texts are not empty, and JSON and times are texts already; `lines` is what COPY reads of them."""

    rows: Sequence[Row]
    lines: bytes


def batcher(session: Session) -> Callable[[Sequence[Row]], Batch]:
    """Makes batches for `load`; apart from it, since another thread can while the server is at work."""
    if is_postgresql(session):
        return lambda rows: Batch(rows=rows, lines="".join(map(_line, rows)).encode())
    return lambda rows: Batch(rows=rows, lines=b"")


def load(session: Session, table: Table, batch: Batch) -> None:
    """Put rows into a table."""
    connection = session.connection()
    if is_postgresql(connection):
        cursor: Any = connection.connection.cursor()
        with closing(cursor):
            statement = f"COPY {table.name} FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"
            try:
                cursor.copy_expert(statement, BytesIO(batch.lines), COPY_BYTES)
            except psycopg2.Error as error:  # as SQLAlchemy, which has no part in a COPY, would raise it
                raise DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
    else:
        marks = ",".join("?" * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", [tuple(row) for row in batch.rows])  # noqa: S608


def _line(row: Row) -> str:
    return ",".join(map(_cell, row)) + "\n"


def _cell(value: str | int | bytes | None) -> str:
    """As COPY reads CSV; the standard library's writer leaves a lone carriage return unquoted before Python 3.13."""
    if value is None:
        return ""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value.hex() if isinstance(value, bytes) else str(value)
