"""What several resources' schemas share."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

MAX_PROPERTIES = 10_000  # values in one free-form object: a page of sites must stay readable
MAX_DEPTH = 32  # levels of nesting, far below where JSON parsers give up

DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# RFC 3339, section 5.6; pydantic and PostgreSQL take more, and each something else.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
NO_NUL = r"^[^\x00]*$"  # PostgreSQL's text cannot hold NUL
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
LongText = Annotated[str, StringConstraints(max_length=20_000, pattern=NO_NUL)]


def is_storable(text: str) -> bool:
    """Whether UTF-8 and PostgreSQL can hold it: JSON in Python can also say NUL and half a surrogate pair."""
    return UNSTORABLE.search(text) is None


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON in Python can say and JSONB cannot hold."""
    pending: list[tuple[Any, int]] = [(value, 1)]
    seen = 0
    while pending:
        item, depth = pending.pop()
        seen += 1
        if seen > MAX_PROPERTIES or depth > MAX_DEPTH:
            raise PydanticCustomError(
                "json_too_large",
                "The object may have {values} values and {depth} levels at most",
                {"values": MAX_PROPERTIES, "depth": MAX_DEPTH},
            )
        if isinstance(item, dict):
            pending += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            pending += [(part, depth + 1) for part in item]
        elif isinstance(item, float) and not math.isfinite(item):
            raise PydanticCustomError("json_not_finite", "NaN and Infinity are not JSON")
        elif isinstance(item, str) and not is_storable(item):
            raise PydanticCustomError("json_text", "Texts may have neither NUL nor half a surrogate pair")
    return value


def _spelt_out(value: Any) -> Any:
    """Refuse Unix times, which pydantic takes for moments; the API speaks ISO 8601 only."""
    if isinstance(value, int | float) or (isinstance(value, str) and not DATE.match(value)):
        raise PydanticCustomError("datetime_iso", "Must be a time by ISO 8601, such as 2026-11-30T08:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    if not datetime(1900, 1, 1, tzinfo=UTC) <= value <= datetime(9000, 1, 1, tzinfo=UTC):
        raise PydanticCustomError("datetime_range", "The time must lie between the years 1900 and 9000")
    return value.astimezone(UTC)


FreeForm = Annotated[dict[str, Any], AfterValidator(_storable)]
Moment = Annotated[
    AwareDatetime, BeforeValidator(_spelt_out), AfterValidator(_in_range), Field(examples=["2026-11-30T08:00:00Z"])
]


class Input(BaseModel):
    """A request body; an unknown member is an error, since it is a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def unset() -> Any:
    """Default factory of a PATCH's members: they may be left out, yet null is only for those whose type says so."""
    return None


class Output(BaseModel):
    """An answer; it describes the JSON text that the queries build."""

    model_config = ConfigDict(frozen=True)


class Count(StrEnum):
    NONE = "none"
    ESTIMATED = "estimated"
    EXACT = "exact"


class ListQuery(Input):
    """The parameters of every list."""

    limit: int = Field(100, ge=1, le=1000, description="Rows in one page.")
    cursor: str | None = Field(
        None, max_length=2000, pattern=NO_NUL, description="Where the page starts: take it from `next` or `prev`."
    )
    count: Count = Field(
        Count.NONE, description="Whether to count all matches; `estimated` is the planner's guess, and quick."
    )


class Page(Output):
    next: str | None = Field(description="URL of the next page; null on the last.")
    prev: str | None = Field(description="URL of the page before; null on the first.")
    count: int | None = Field(description="All matches, when asked for by `count`.")


class Stamped(Output):
    version: int = Field(description="Raised by each change; also the ETag.", examples=[1])
    created_at: datetime
    updated_at: datetime
