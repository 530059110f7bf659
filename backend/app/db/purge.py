"""Deleting rows whose time is over, however many they have become."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, inspect, select, tuple_
from sqlalchemy.orm import Session

BATCH_ROWS = 1000  # so that no transaction holds its locks, or SQLite's only one, for long


def purge(session: Session, model: type[Any], expired: ColumnElement[bool], *, batch_rows: int = BATCH_ROWS) -> int:
    """Delete what has expired in transactions of a batch each, and say how many rows that were."""
    key = inspect(model).primary_key
    # Who deletes the same rows at the same time, in another order, would deadlock with us: theirs are left to them.
    batch = select(*key).where(expired).limit(batch_rows).with_for_update(skip_locked=True)
    purged = 0
    while True:
        with session.begin():
            statement = delete(model).where(tuple_(*key).in_(batch))
            result = session.execute(statement, execution_options={"synchronize_session": False})
            count = cast("CursorResult[Any]", result).rowcount
        purged += count
        if count < batch_rows:
            return purged
