"""The declarative base, its naming convention, and the columns that most tables share."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from app.db.types import Guid, UtcDateTime, utc_now

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class IdMixin:
    # Made client-side, so that an insert needs no answer to know what it made.
    id: Mapped[uuid.UUID] = mapped_column(Guid, primary_key=True, default=uuid.uuid4)


class TimestampMixin:
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=utc_now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, server_default=utc_now(), onupdate=utc_now(), sort_order=91
    )


class VersionMixin:
    """A row version: raised by each update, compared with `If-Match`, and by the ORM against lost updates."""

    version: Mapped[int] = mapped_column(server_default=text("1"), sort_order=92)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, object]:  # noqa: N805 - SQLAlchemy calls it with the class
        return {"version_id_col": cls.version}


def one_of(column: str, values: type[StrEnum]) -> str:
    """The CHECK of a text column that holds an enum: a native one survives a downgrade and breaks the next upgrade."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


def postgresql_index(name: str, *columns: Any, using: str) -> Index:
    """An index that SQLite has no like of; `info` tells Alembic's comparison."""
    index = Index(name, *columns, postgresql_using=using, info={"dialects": {"postgresql"}})
    index.ddl_if(dialect="postgresql")
    return index
