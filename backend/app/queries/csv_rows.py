"""Rows as CSV text (RFC 4180), built by SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, case, func, literal, literal_column

QUOTE: ColumnElement[str] = literal_column("'\"'", Text)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs when a cell begins with it


def csv_text(column: Any) -> ColumnElement[str]:
    """A cell of text that people wrote: an apostrophe keeps a spreadsheet from running it as a formula."""
    text = func.coalesce(column, "", type_=Text)
    is_formula = func.substr(text, 1, 1).in_(FORMULA)
    return csv_quoted(case((is_formula, literal("'").concat(text)), else_=text))


def csv_quoted(text: ColumnElement[str]) -> ColumnElement[str]:
    return QUOTE.concat(func.replace(text, '"', '""', type_=Text)).concat(QUOTE)


def csv_line(cells: list[ColumnElement[str]]) -> ColumnElement[str]:
    line, *others = cells
    for cell in others:
        line = line.concat(literal_column("','", Text)).concat(cell)
    return line
