"""Many rows at once: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
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


def load(session: Session, table: Table, batches: Iterable[Sequence[Row]]) -> None:
    """Put rows, batch by batch, into a table; their texts are not empty, and JSON and times are texts already."""
    connection = session.connection()
    batches = filter(None, batches)  # an empty one would end the COPY
    if is_postgresql(connection):
        source = _Source(batches)
        cursor: Any = connection.connection.cursor()
        with closing(cursor):
            statement = f"COPY {table.name} FROM STDIN WITH (FORMAT csv)"
            try:
                cursor.copy_expert(statement, source, COPY_BYTES)
            except psycopg2.Error as error:  # as SQLAlchemy, which has no part in a COPY, would raise it
                raise DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
        if source.error is not None:
            raise source.error
    else:
        marks = ",".join("?" * len(table.columns))
        for batch in batches:
            connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", [tuple(row) for row in batch])  # noqa: S608


class _Source:
    """The file that psycopg2 reads; it would bury an error of ours in one of its own."""

    def __init__(self, batches: Iterable[Sequence[Row]]) -> None:
        self._texts = self._write(batches)
        self.error: Exception | None = None

    def read(self, _size: int) -> str:
        try:
            return next(self._texts, "")
        except Exception as error:  # noqa: BLE001 - raised again by `load`
            self.error = error
            return ""

    @staticmethod
    def _write(batches: Iterable[Sequence[Row]]) -> Iterator[str]:
        for batch in batches:
            yield "".join(",".join(map(_cell, row)) + "\n" for row in batch)


def _cell(value: str | int | bytes | None) -> str:
    """As COPY reads CSV; the standard library's writer leaves a lone carriage return unquoted before Python 3.13."""
    if value is None:
        return ""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value.hex() if isinstance(value, bytes) else str(value)
