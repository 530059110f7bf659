"""Conditions of filters that the dialects spell differently, or only one can answer."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy import Boolean, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.errors import NotOnSqliteError

DOTLESS_I = "\u0131"  # the one letter that upper(lower()) makes the same as another and Unicode's case folding does not
STAND_IN = "\U000f0131"  # for private use: no text has it


class case_folded(FunctionElement[str]):  # noqa: N801 - spelt like an SQL function
    """A text by Unicode's full case folding, to be compared with another such."""

    type = Text()
    inherit_cache = True


class spatial_relation(FunctionElement[bool]):  # noqa: N801
    """A condition in PostGIS' own words."""

    type = Boolean()
    inherit_cache = True


@compiles(case_folded, "postgresql")
def _(element: case_folded, compiler: SQLCompiler, **kw: Any) -> str:
    # PostgreSQL 18 has casefold(). ICU's rules are there whatever the database's own locale.
    text = compiler.process(element.clauses, **kw)
    return f"""(upper(lower(replace({text}, '{DOTLESS_I}', '{STAND_IN}') COLLATE "und-x-icu")) COLLATE "C")"""


@compiles(case_folded, "sqlite")
def _(element: case_folded, compiler: SQLCompiler, **kw: Any) -> str:
    return f"casefold({compiler.process(element.clauses, **kw)})"


@compiles(spatial_relation, "postgresql")
def _(element: spatial_relation, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"


@compiles(spatial_relation, "sqlite")
def _(element: spatial_relation, compiler: SQLCompiler, **kw: Any) -> NoReturn:
    raise NotOnSqliteError(what="spatial functions of CQL2 other than s_intersects with a BBOX")
