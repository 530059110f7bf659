"""Filters of sites in CQL2 (OGC 21-065): parsed by the package cql2, compiled to SQL through a whitelist.

Of the package only its parser is used: its own SQL inlines literals and passes any function through.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from sqlalchemy import ColumnElement

from app.schemas.crs import CRS84, Crs
from app.schemas.site import FilterLang
from app.services.cql2.compiler import Compiler
from app.services.cql2.operands import QUERYABLES, Queryable
from app.services.cql2.parsing import parse

__all__ = ["CONFORMANCE", "QUERYABLES", "FilterLang", "Queryable", "compile_filter", "conformance"]

# The conformance classes that are met; on SQLite without the spatial ones, of which it knows a BBOX only.
CONFORMANCE: Final = tuple(
    f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
    for name in (
        "cql2-text",
        "cql2-json",
        "basic-cql2",
        "advanced-comparison-operators",
        "case-insensitive-comparison",
        "basic-spatial-functions",
        "basic-spatial-functions-plus",
        "spatial-functions",
        "temporal-functions",
        "property-property",
    )
)

KEPT = 64  # filters, since a client asks for page after page; a large one takes tens of milliseconds


def conformance(*, is_postgresql: bool) -> list[str]:
    """The classes that are met on that database."""
    return [uri for uri in CONFORMANCE if is_postgresql or "spatial" not in uri]


@lru_cache(maxsize=KEPT)
def compile_filter(text_or_json: str, *, lang: FilterLang, crs: Crs = CRS84) -> ColumnElement[bool]:
    """The condition on sites that a filter says; its values are bound parameters.

    Geometries in the filter are in `crs`, longitude or easting first. Raises `FilterInvalidError`; the condition
    raises `NotOnSqliteError` when it is compiled for SQLite with other spatial functions than s_intersects with a BBOX.
    """
    return Compiler(crs=crs).predicate(parse(text_or_json, lang=lang), ())
