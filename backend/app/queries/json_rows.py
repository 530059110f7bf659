"""Answers as JSON text built by SQL: 7 to 18 times faster than rows through the ORM and pydantic."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, literal_column, select

from app.db.types import Database, UtcDateTime, iso_time, json_text


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A kind of resource: its name to people, its table, and its row as JSON text."""

    name: str
    model: type[Any]
    row: ColumnElement[str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One resource as it stands."""

    id: uuid.UUID
    version: int
    json: str


def fetch_answer(database: Database, noun: Noun, row_id: uuid.UUID) -> Answer | None:
    model = noun.model
    found = database.execute(select(noun.row, model.version).where(model.id == row_id)).first()
    return Answer(id=row_id, json=found[0], version=found[1]) if found else None


def json_values(*columns: Any) -> dict[str, ColumnElement[str]]:
    """The columns' values as JSON text, by their names."""
    return {column.name: json_value(column) for column in columns}


def json_value(column: Any) -> ColumnElement[str]:
    return iso_time(column) if isinstance(column.type, UtcDateTime) else json_text(column)


def json_object(members: Mapping[str, ColumnElement[str]]) -> ColumnElement[str]:
    """`{"name": value, …}` of values that are JSON text already."""
    text: ColumnElement[str] | None = None
    for name, value in members.items():
        label = f"{'{' if text is None else ','}{json.dumps(name)}:"
        key: ColumnElement[str] = literal_column(f"'{label}'", Text)
        text = (key if text is None else text.concat(key)).concat(value)
    assert text is not None  # noqa: S101 - an object without members is a mistake of ours
    return text.concat(literal_column("'}'", Text))
