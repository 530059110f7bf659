"""Column types and SQL constructs that mean the same on PostgreSQL and SQLite: the dialects differ here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import (
    CHAR,
    JSON,
    Boolean,
    ClauseElement,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Executable,
    FromClause,
    LargeBinary,
    ScalarSelect,
    Select,
    String,
    Text,
    Uuid,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.db.prepared import PREPARED
from app.errors import NotOnSqliteError

Database = Connection | Session  # whatever runs a query in its caller's transaction


class Guid(TypeDecorator[uuid.UUID]):
    """A UUID; text with dashes on SQLite, as people write it."""

    impl = CHAR(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Uuid(as_uuid=True) if dialect.name == "postgresql" else CHAR(36)

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class Guids(TypeDecorator[Collection[uuid.UUID]]):
    """Several UUIDs as one parameter, for `is_among`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[uuid.UUID] | None, dialect: Dialect) -> str:
        texts = [str(guid) for guid in value or ()]
        return f"{{{','.join(texts)}}}" if dialect.name == "postgresql" else json.dumps(texts)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment; on SQLite fixed-width UTC text, which sorts and compares as the moments do."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return DateTime(timezone=True) if dialect.name == "postgresql" else CHAR(27)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        # Not strftime, which writes the year 999 with three digits.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value if value is None else value.astimezone(UTC)

    @property
    def python_type(self) -> type[datetime]:
        return datetime


Json = JSON().with_variant(postgresql.JSONB(), "postgresql")
Tags = JSON().with_variant(postgresql.ARRAY(Text), "postgresql")
Inet = String(45).with_variant(postgresql.INET(), "postgresql")
# LargeBinary as the base keeps GeoAlchemy2's SpatiaLite events away from SQLite; the index is explicit, see models.
GeometryColumn = LargeBinary().with_variant(Geometry("GEOMETRY", 4326, spatial_index=False), "postgresql")


class utc_now(FunctionElement[datetime]):  # noqa: N801 - spelt like the SQL function that it is
    """The transaction's time."""

    type = UtcDateTime()
    inherit_cache = True


class json_text(FunctionElement[str]):  # noqa: N801
    """One value as JSON text, never NULL."""

    type = Text()
    inherit_cache = True


class iso_time(FunctionElement[str]):  # noqa: N801
    """One moment as JSON text: ISO 8601 in UTC with microseconds, or null; never NULL."""

    type = Text()
    inherit_cache = True


class tags_any(FunctionElement[bool]):  # noqa: N801
    """Whether the tags and the given ones have one in common."""

    type = Boolean()
    inherit_cache = True


class tags_all(FunctionElement[bool]):  # noqa: N801
    """Whether the tags contain all the given ones."""

    type = Boolean()
    inherit_cache = True


class is_among(FunctionElement[bool]):  # noqa: N801
    """Whether an id is one of `Guids`: a statement with an IN would have to be made anew for each number of them."""

    type = Boolean()
    inherit_cache = True


class explain(Executable, ClauseElement):  # noqa: N801
    """The planner's view of a statement."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(utc_now, "postgresql")
def _(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "now()"


@compiles(utc_now, "sqlite")
def _(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"


@compiles(json_text, "postgresql")
def _(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"coalesce(to_json({compiler.process(element.clauses, **kw)})::text, 'null')"


@compiles(json_text, "sqlite")
def _(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    (value,) = element.clauses
    text = compiler.process(element.clauses, **kw)
    return f"coalesce({text}, 'null')" if isinstance(value.type, JSON) else f"json_quote({text})"


@compiles(iso_time, "postgresql")
def _(element: iso_time, compiler: SQLCompiler, **kw: Any) -> str:
    moment = compiler.process(element.clauses, **kw)
    text = f"""'"' || to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'"""
    return f"coalesce({text}, 'null')"


@compiles(iso_time, "sqlite")
def _(element: iso_time, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_quote({compiler.process(element.clauses, **kw)})"


def _pair(element: FunctionElement[Any], compiler: SQLCompiler, kw: dict[str, Any]) -> tuple[str, str]:
    have, want = element.clauses
    return compiler.process(have, **kw), compiler.process(want, **kw)


@compiles(tags_any, "postgresql")
def _(element: tags_any, compiler: SQLCompiler, **kw: Any) -> str:
    have, want = _pair(element, compiler, kw)
    return f"{have} && {want}"


@compiles(tags_any, "sqlite")
def _(element: tags_any, compiler: SQLCompiler, **kw: Any) -> str:
    have, want = _pair(element, compiler, kw)
    return f"EXISTS (SELECT 1 FROM json_each({have}) WHERE value IN (SELECT value FROM json_each({want})))"


@compiles(tags_all, "postgresql")
def _(element: tags_all, compiler: SQLCompiler, **kw: Any) -> str:
    have, want = _pair(element, compiler, kw)
    return f"{have} @> {want}"


@compiles(tags_all, "sqlite")
def _(element: tags_all, compiler: SQLCompiler, **kw: Any) -> str:
    have, want = _pair(element, compiler, kw)
    return f"NOT EXISTS (SELECT 1 FROM json_each({want}) WHERE value NOT IN (SELECT value FROM json_each({have})))"


@compiles(is_among, "postgresql")
def _(element: is_among, compiler: SQLCompiler, **kw: Any) -> str:
    one, some = _pair(element, compiler, kw)
    return f"{one} = ANY (CAST({some} AS UUID[]))"


@compiles(is_among, "sqlite")
def _(element: is_among, compiler: SQLCompiler, **kw: Any) -> str:
    one, some = _pair(element, compiler, kw)
    return f"{one} IN (SELECT value FROM json_each({some}))"


@compiles(explain, "postgresql")
def _(element: explain, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **kw)}"


def tags_literal(tags: Sequence[str]) -> ColumnElement[Any]:
    return literal(list(tags), Tags)


def is_postgresql(database: Database) -> bool:
    dialect = database.dialect if isinstance(database, Connection) else database.get_bind().dialect
    return dialect.name == "postgresql"


def estimated_count(database: Database, statement: Select[Any]) -> int:
    """Rows that the planner expects; SQLite has no estimate and counts."""
    if is_postgresql(database):
        # A column's own type would be applied to the plan.
        bare: Select[Any] = statement.with_only_columns(literal_column("1"), maintain_column_froms=True)
        plan = database.execute(explain(bare)).scalar_one()
        return int(plan[0]["Plan"]["Plan Rows"])
    return database.scalar(select(func.count()).select_from(statement.subquery())) or 0


def insert_if_absent(session: Session, model: type[Any], **values: Any) -> bool:
    """Insert unless the key is taken; waits for a transaction that is about to take it."""
    statement = insert_for(session, model).values(**values).on_conflict_do_nothing().returning(literal(1))
    return session.execute(statement).first() is not None


def insert_for(session: Session, model: type[Any] | FromClause) -> Any:
    """An INSERT that knows ON CONFLICT, which both dialects have by the same words."""
    return (postgresql if is_postgresql(session) else sqlite).insert(model)


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Rows of a page: their texts with a separator between them, and the key and id at its edges.

    `total` is what was counted besides.
    """

    text: str
    count: int
    more: bool
    total: int | None
    first: tuple[Any, uuid.UUID] | None
    last: tuple[Any, uuid.UUID] | None


def fetch_joined(
    database: Database,
    page: Select[Any],
    *,
    limit: int,
    backward: bool,
    separator: str,
    counted: ScalarSelect[int] | None,
    prepared: bool,
) -> Joined:
    """At most `limit` rows of a page with the columns text, key and id, whose own limit is one more.

    A `backward` page comes in the opposite order and is turned round. PostgreSQL joins the texts itself, in half the
    time that sending them one by one takes, and counts in the same statement. `prepared`: see `app.db.prepared`.
    """
    if not is_postgresql(database):
        rows = database.execute(page).all()
        kept = rows[:limit][:: -1 if backward else 1]
        first, last = ((kept[0][1:], kept[-1][1:])) if kept else (None, None)
        text = separator.join(row.text for row in kept)
        total = None if counted is None else database.scalar(select(counted))
        return Joined(text=text, count=len(kept), more=len(rows) > limit, total=total, first=first, last=last)
    outer = _joining(limit, page.selected_columns.key.type, backward=backward, separator=separator)
    statement = outer.add_cte(page.cte("page"))
    if counted is not None:
        statement = statement.add_columns(counted)
    text, count, key, first, last_key, last, *totals = database.execute(
        statement, execution_options={PREPARED: prepared}
    ).one()
    return Joined(
        text=text or "",
        count=min(count, limit),
        more=count > limit,
        total=totals[0] if totals else None,
        first=(key, first) if count else None,
        last=(last_key, last) if count else None,
    )


@lru_cache(maxsize=64)
def as_text(expression: ColumnElement[str], *, is_postgresql: bool) -> ColumnElement[str]:
    """The same as one piece of SQL: a row of a dozen columns is long to look through for what is in it."""
    dialect: Dialect = postgresql.dialect(paramstyle="named") if is_postgresql else sqlite.dialect()  # type: ignore[no-untyped-call]
    return literal_column(str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True})), Text)


@lru_cache(maxsize=256)
def _joining(limit: int, key_type: TypeEngine[Any], *, backward: bool, separator: str) -> Select[Any]:
    """Made once for each kind of page: to make it anew would take longer than the page."""
    order, ends = "ASC", ["1", f"least(count(*), {limit})"]
    if backward:
        order, ends = "DESC", ends[::-1]
    texts = f"string_agg(text, '{separator}' ORDER BY n {order}) FILTER (WHERE n <= {limit})"
    columns: list[ColumnElement[Any]] = [literal_column(texts, Text), func.count()]
    for end in ends:
        columns += [
            literal_column(f"(array_agg({name} ORDER BY n))[{end}]", of)
            for name, of in (("key", key_type), ("id", Guid()))
        ]
    numbered = sql_text("SELECT *, row_number() OVER () AS n FROM page").columns().subquery("numbered")
    return select(*columns).select_from(numbered)


def demand_postgis(database: Database, *, what: str) -> None:
    """Raises `NotOnSqliteError` for what only PostGIS can do."""
    if not is_postgresql(database):
        raise NotOnSqliteError(what=what)
