"""The parameters of OGC API - Features; each is refused with its reason, and an unknown one too."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from app.schemas.common import TIMESTAMP, Input, ListQuery, Moment, ShortText
from app.schemas.crs import CRS84, FILTER_SYSTEMS, SYSTEMS, Crs
from app.schemas.site import FilterLang, SitePatch, SiteWrite

MAX_LIMIT = 10_000
MAX_VERSION = 2**31 - 1  # what the column holds
OPEN = frozenset({"", ".."})
WRITTEN_HERE = frozenset({"id", "owner_id", "version", "created_at", "updated_at"})

Format = Literal["json", "html"]
Box = tuple[float, float, float, float]
Interval = tuple[datetime | None, datetime | None]


def _one_of(systems: Mapping[str, Crs]) -> BeforeValidator:
    def check(value: Any) -> Crs:
        known = systems.get(str(value).removeprefix("<").removesuffix(">"))
        if known is None:
            raise PydanticCustomError(
                "crs_unknown", "Must be one of these systems: {known}", {"known": ", ".join(systems)}
            )
        return known

    return BeforeValidator(check)


def _numbers(value: str) -> list[str]:
    return value.split(",")


def _box(numbers: tuple[float, ...]) -> Box:
    """The first two axes of both corners."""
    match numbers:
        case (first, second, last_first, last_second) | (first, second, _, last_first, last_second, _):
            return first, second, last_first, last_second
    raise PydanticCustomError("bbox_form", "Must be four numbers, six with heights: the lower corner, then the upper")


def _interval(value: str) -> tuple[str | None, str | None]:
    """One moment is the interval from it to itself."""
    start, slash, end = value.partition("/")
    ends = (start, end if slash else start)
    if OPEN.issuperset(ends) or not all(moment in OPEN or TIMESTAMP.fullmatch(moment) for moment in ends):
        raise PydanticCustomError(
            "interval_form", "Must be a time by RFC 3339, or two with a slash between, of which one may be '..'"
        )
    first, last = (None if moment in OPEN else moment for moment in ends)
    return first, last


def _ordered(interval: Interval) -> Interval:
    start, end = interval
    if start is not None and end is not None and start > end:
        raise PydanticCustomError("interval_order", "The interval ends before it begins")
    return interval


Limit = Annotated[int, Field(ge=1), AfterValidator(lambda limit: min(limit, MAX_LIMIT))]
CrsName = Annotated[Crs, _one_of(SYSTEMS)]
FilterCrsName = Annotated[Crs, _one_of(FILTER_SYSTEMS)]


def _receivable(feature: Any) -> Any:
    """Without what only the service writes, since clients send back what they read; null empties `properties`."""
    if not isinstance(feature, dict):
        return feature
    kept = {name: value for name, value in feature.items() if name not in {"id", "links"}}
    if isinstance(properties := kept.get("properties"), dict):
        kept["properties"] = {
            name: {} if name == "properties" and value is None else value
            for name, value in properties.items()
            if name not in WRITTEN_HERE
        }
    return kept


FeatureWrite = Annotated[SiteWrite, BeforeValidator(_receivable)]
FeaturePatch = Annotated[SitePatch, BeforeValidator(_receivable)]


class DocumentQuery(Input):
    f: Format | None = None


class FeatureQuery(DocumentQuery):
    crs: CrsName = CRS84


class FeatureListQuery(FeatureQuery, ListQuery):
    limit: Limit = 100
    bbox: Annotated[tuple[FiniteFloat, ...], BeforeValidator(_numbers), AfterValidator(_box)] | None = None
    bbox_crs: CrsName = Field(CRS84, alias="bbox-crs")
    interval: (
        Annotated[tuple[Moment | None, Moment | None], BeforeValidator(_interval), AfterValidator(_ordered)] | None
    ) = Field(None, alias="datetime")
    filter: str | None = None
    filter_lang: FilterLang = Field("cql2-text", alias="filter-lang")
    filter_crs: FilterCrsName = Field(CRS84, alias="filter-crs")
    id: uuid.UUID | None = None
    name: ShortText | None = None
    kind: ShortText | None = None
    external_id: ShortText | None = None
    owner_id: uuid.UUID | None = None
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
