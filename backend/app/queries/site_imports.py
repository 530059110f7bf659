"""The table that an import goes through, and the statements on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from app.db.bulk import Batch, Row, load
from app.db.types import GeometryColumn, Guid, Json, insert_for, utc_now
from app.models import Site

STAGED = Table(
    "staged_sites",
    MetaData(),
    Column("number", Integer, index=True),
    Column("first_byte", BigInteger),
    Column("line", Integer),
    Column("id", Guid),
    Column("external_id", Text),
    Column("name", Text),
    Column("kind", Text),
    Column("properties", Json),
    Column("geom", GeometryColumn),
    prefixes=["TEMPORARY"],
)
# Their places in a row.
NUMBER, EXTERNAL_ID = 0, 4
CONTENT = ("name", "kind", "properties", "geom")


@dataclass(frozen=True, kw_only=True)
class Counts:
    created: int
    updated: int
    unchanged: int


def create_staged(session: Session) -> None:
    STAGED.create(session.connection())


def stage(session: Session, batch: Batch) -> None:
    """Put rows in the order of `STAGED` into it."""
    load(session, STAGED, batch)


def drop_staged(session: Session) -> None:
    STAGED.drop(session.connection())


def fetch_repeated(session: Session, *, limit: int) -> Sequence[Any]:
    """Features whose external id an earlier one has: their places, the earlier one's, and how many there are."""
    columns = STAGED.c

    def earlier(column: Column[Any]) -> ColumnElement[Any]:
        first = func.first_value(column).over(partition_by=columns.external_id, order_by=columns.number)
        return first.label(f"earlier_{column.name}")

    marked = (
        select(*columns, earlier(columns.number), earlier(columns.first_byte))
        .where(columns.external_id.is_not(None))
        .subquery()
    )
    repeated = select(marked, func.count().over().label("total")).where(marked.c.number != marked.c.earlier_number)
    return session.execute(repeated.order_by(marked.c.number).limit(limit)).all()


def merger(session: Session, *, owner_id: uuid.UUID) -> Callable[[Sequence[Row]], int]:
    """Makes rows that are staged the owner's sites, and returns how many it wrote; they follow one another.

    One that is there by its external id is changed, unless it is the same.
    """
    connection, columns = session.connection(), STAGED.c
    names = ["id", "owner_id", "external_id", *CONTENT]
    owner = literal(owner_id, Guid)
    source = select(columns.id, owner, columns.external_id, *(columns[name] for name in CONTENT)).where(
        columns.number.between(bindparam("first"), bindparam("last"))
    )
    insert = insert_for(session, Site.__table__).from_select(names, source, include_defaults=False)
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=[Site.owner_id, Site.external_id],
        set_={name: new[name] for name in CONTENT} | {"version": Site.version + 1, "updated_at": utc_now()},
        where=or_(*(getattr(Site, name).is_distinct_from(new[name]) for name in CONTENT)),
    )

    def merge(rows: Sequence[Row]) -> int:
        return connection.execute(statement, {"first": rows[0][NUMBER], "last": rows[-1][NUMBER]}).rowcount

    return merge


def count_merged(session: Session, *, written: int) -> Counts:
    """What became of all that is staged, of which so many were written."""
    total = session.scalar(select(func.count()).select_from(STAGED)) or 0
    created = session.scalar(select(func.count()).select_from(STAGED).join(Site, Site.id == STAGED.c.id)) or 0
    return Counts(created=created, updated=written - created, unchanged=total - written)
