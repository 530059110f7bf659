"""Keyset pages: a page starts after a row, not after a number of rows, so that its cost does not grow."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, func, literal, literal_column, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.db.types import Database, Guid, UtcDateTime, as_text, estimated_count, fetch_joined, is_postgresql
from app.errors import CursorInvalidError
from app.schemas.common import Count, ListQuery, is_storable

SortKey = ColumnElement[Any] | InstrumentedAttribute[Any]
SortKeys = Mapping[str, SortKey]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One page: its rows' texts with a separator between, the cursors of its neighbours, and the count asked for."""

    text: str
    returned: int
    next: str | None
    prev: str | None
    count: int | None


@dataclass(frozen=True, kw_only=True)
class _Cursor:
    sort: str
    backward: bool
    value: Any
    id: uuid.UUID

    def encode(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        text = json.dumps([self.sort, self.backward, value, str(self.id)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, *, sort: str, column: SortKey) -> _Cursor:
        """Raises `CursorInvalidError` for what `encode` did not make for this sort order."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            made_for, backward, value, row_id = json.loads(raw)
            if made_for != sort or not isinstance(backward, bool):
                raise CursorInvalidError
            if isinstance(column.type, UtcDateTime):
                value = datetime.fromisoformat(value)
                value.astimezone()  # what is out of range fails here, not in the database
                if value.tzinfo is None:
                    raise CursorInvalidError
            if type(value) is not column.type.python_type or not _bindable(value):
                raise CursorInvalidError
            return cls(sort=sort, backward=backward, value=value, id=uuid.UUID(row_id))
        except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError):
            raise CursorInvalidError from None


def _bindable(value: Any) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    return not isinstance(value, int) or abs(value) < 2**63


def fetch_rows(
    database: Database,
    *,
    row: ColumnElement[str],
    where: Sequence[ColumnElement[bool]],
    id_column: InstrumentedAttribute[uuid.UUID],
    keys: SortKeys,
    sort: str,
    query: ListQuery,
    separator: str = ",",
) -> Rows:
    """One page of `row` texts, in the order of `keys[sort]` and then of the id; the keys are never NULL."""
    name = sort.removeprefix("-")
    key = keys[name]
    cursor = _Cursor.decode(query.cursor, sort=sort, column=key) if query.cursor else None
    backward = cursor is not None and cursor.backward
    descending = sort.startswith("-") != backward

    text = as_text(row, is_postgresql=is_postgresql(database)).label("text")
    page = select(text, cast("ColumnElement[Any]", key).label("key"), id_column.label("id"))
    # A parameter would be unknown to the planner, which takes it for a tenth of the table.
    page = page.where(*where).limit(literal_column(str(query.limit + 1), Integer))
    if cursor is not None:
        # SQLite compares a tuple by the wrong affinity unless each part names its type.
        here = tuple_(key, id_column, types=[key.type, Guid()])
        there = tuple_(literal(cursor.value, key.type), literal(cursor.id, Guid()), types=[key.type, Guid()])
        page = page.where(here < there if descending else here > there)
    page = page.order_by(key.desc(), id_column.desc()) if descending else page.order_by(key, id_column)

    counted = None
    if query.count is Count.EXACT:
        counted = select(func.count()).select_from(select(id_column).where(*where).subquery()).scalar_subquery()
    found = fetch_joined(
        database,
        page,
        limit=query.limit,
        backward=backward,
        separator=separator,
        counted=counted,
        prepared=not where,  # what to filter by first depends on what is looked for
    )

    def edge(of: tuple[Any, uuid.UUID], *, to_prev: bool) -> str:
        return _Cursor(sort=sort, backward=to_prev, value=of[0], id=of[1]).encode()

    count = found.total
    if query.count is Count.ESTIMATED:
        count = max(estimated_count(database, select(id_column).where(*where)), found.count + found.more)
    has_next, has_prev = (True, found.more) if backward else (found.more, cursor is not None)
    return Rows(
        text=found.text,
        returned=found.count,
        next=edge(found.last, to_prev=False) if has_next and found.last else None,
        prev=edge(found.first, to_prev=True) if has_prev and found.first else None,
        count=count,
    )
