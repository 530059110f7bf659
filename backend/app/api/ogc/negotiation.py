"""What a request asks for: its parameters, and the media type of the answer."""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError

from app.api.problems import MAX_FIELD_PROBLEMS
from app.errors import NotAcceptableError, NotFoundError, ParameterInvalidError
from app.messages import field_problems
from app.middleware.problems import language_of
from app.schemas.common import Input
from app.schemas.feature import DocumentQuery

HTML = "text/html"
VARY = {"Vary": "Accept, Accept-Language"}

Query = TypeVar("Query", bound=Input)


def parameters(request: Request, schema: type[Query]) -> Query:
    """The query, in one pass of pydantic; raises `ParameterInvalidError`: 400 here, by the standard, and not 422."""
    try:
        return schema.model_validate(dict(request.query_params))
    except ValidationError as error:
        problems = error.errors(include_url=False)[:MAX_FIELD_PROBLEMS]
        found = [{**problem, "loc": ("query", *problem["loc"])} for problem in problems]
        raise ParameterInvalidError(errors=field_problems(found, language_of(request.scope))) from None


def site_id(text: str) -> uuid.UUID:
    """Of the feature that a path names; raises `NotFoundError` for what cannot be one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFoundError(noun="site", id=text) from None


def wants_html(request: Request, query: DocumentQuery, *json_types: str) -> bool:
    """Whether the answer is a page; `f` wins over Accept. Raises `NotAcceptableError`."""
    if query.f is not None:
        return query.f == "html"
    # The header may stand there several times; a client that sends none takes anything.
    chosen = _best(",".join(request.headers.getlist("accept")) or "*/*", (*json_types, HTML))
    if chosen is None:
        raise NotAcceptableError(offered=", ".join((*json_types, HTML)), headers=VARY)
    return chosen == HTML


@lru_cache(maxsize=256)
def _best(accept: str, offers: tuple[str, ...]) -> str | None:
    """The offer of the highest quality, the first of equals; the most specific range counts (RFC 9110, 12.5.1)."""
    ranges = dict(_range(entry) for entry in accept.split(","))

    def quality(offer: str) -> float:
        name = offer.partition(";")[0]
        kinds = (name, f"{name.partition('/')[0]}/*", "*/*")
        return next((ranges[kind] for kind in kinds if kind in ranges), 0.0)

    best = max(offers, key=quality)
    return best if quality(best) > 0 else None


def _range(entry: str) -> tuple[str, float]:
    """A media range without its parameters, and its quality."""
    name, *rest = (part.strip().lower() for part in entry.split(";"))
    try:
        return name, next((float(part[2:]) for part in rest if part.startswith("q=")), 1.0)
    except ValueError:
        return name, 0.0
