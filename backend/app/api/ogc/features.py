"""Pages of features and single ones, as GeoJSON text that SQL has made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from app.api.answers import GEOJSON
from app.api.ogc.links import SITES, Link, here, link
from app.api.ogc.negotiation import HTML
from app.queries.json_rows import Answer
from app.queries.paging import Rows


def collection_text(rows: Rows, request: Request) -> str:
    """The FeatureCollection of one page."""
    members: dict[str, Any] = {
        "numberReturned": rows.returned,
        "timeStamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "links": page_links(rows, request, GEOJSON),
    }
    if rows.count is not None:
        members["numberMatched"] = rows.count
    return f'{{"type":"FeatureCollection","features":[{rows.text}],{json.dumps(members)[1:]}'


def page_links(rows: Rows, request: Request, media_type: str) -> list[Link]:
    links = _with_collection(request, media_type)
    for rel, cursor, title in (("next", rows.next, "The next page"), ("prev", rows.prev, "The page before")):
        if cursor is not None:
            href = str(request.url.include_query_params(cursor=cursor))
            links.append({"href": href, "rel": rel, "type": media_type, "title": title})
    return links


def links_member(request: Request) -> str:
    """The links of a single feature, as a further member of its text."""
    return f',"links":{json.dumps(feature_links(request, GEOJSON))}'


def feature_links(request: Request, media_type: str) -> list[Link]:
    return _with_collection(request, media_type)


def _with_collection(request: Request, media_type: str) -> list[Link]:
    others = (HTML,) if media_type == GEOJSON else (GEOJSON,)
    return [
        *here(request, media_type=media_type, others=others),
        link(request, SITES, rel="collection", media_type="application/json", title="Sites"),
    ]


def page_of_features(rows: Rows, request: Request) -> dict[str, Any]:
    """The same for a page in HTML."""
    return {
        "features": json.loads(f"[{rows.text}]"),
        "count": rows.count,
        "links": page_links(rows, request, HTML),
    }


def feature(answer: Answer, request: Request) -> dict[str, Any]:
    return {**json.loads(answer.json), "links": feature_links(request, HTML)}
