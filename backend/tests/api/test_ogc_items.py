"""OGC API - Features, Part 1: the features; the same on either database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.schemas.feature import MAX_LIMIT
from tests.support.api import point, problem_of, site
from tests.support.ogc import CRS84, HOST, ITEMS, Ogc, href, meets

GEOJSON = "application/geo+json"


@pytest.fixture
def five(ogc: Ogc) -> list[dict[str, Any]]:
    """The sites a to e, made in this order, a degree from one to the next."""
    return [
        ogc.api.editor.create("/sites", site(point(10 + at, 50 + at), name=name, kind="pump" if at % 2 else "well"))
        for at, name in enumerate("abcde")
    ]


@meets("/req/core/fc-op", "/req/core/fc-response", "/req/geojson/content", "/req/geojson/definition")
def test_the_features_are_the_sites_as_the_api_gives_them(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    answer = ogc.get(ITEMS, accept=GEOJSON)
    assert answer.headers["Content-Type"] == GEOJSON
    assert answer.json()["type"] == "FeatureCollection"
    assert answer.json()["features"] == five


@meets("/req/core/crs84")
def test_coordinates_are_longitude_first_unless_asked_otherwise(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    answer = ogc.get(ITEMS)
    assert answer.headers["Content-Crs"] == f"<{CRS84}>"
    assert answer.json()["features"][0]["geometry"] == {"type": "Point", "coordinates": [10, 50]}


@meets("/req/core/fc-links", "/req/core/fc-rel-type")
def test_a_page_links_to_itself_to_its_other_form_and_to_the_collection(ogc: Ogc) -> None:
    page = ogc.read(f"{ITEMS}?limit=2")
    here = f"{HOST}/ogc{ITEMS}?limit=2"
    assert [(link["rel"], link["type"], link["href"]) for link in page["links"]] == [
        ("self", GEOJSON, here),
        ("alternate", "text/html", f"{here}&f=html"),
        ("collection", "application/json", f"{HOST}/ogc/collections/sites"),
    ]


@meets("/req/core/fc-limit-response-1", "/req/core/fc-numberReturned", "/req/core/fc-numberMatched")
def test_pages_are_walked_forward_and_back_by_their_links(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    forward = list(ogc.walk(limit=2, count="exact"))
    names = [[feature["properties"]["name"] for feature in page["features"]] for page in forward]
    assert names == [["a", "b"], ["c", "d"], ["e"]]
    assert [page["numberReturned"] for page in forward] == [2, 2, 1]
    assert [page["numberMatched"] for page in forward] == [5, 5, 5]
    back = list(ogc.walk(href(forward[-1], "self") or "", rel="prev"))
    assert [[feature["properties"]["name"] for feature in page["features"]] for page in back] == names[::-1]


def test_all_is_counted_only_when_asked(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    assert "numberMatched" not in ogc.read(ITEMS)
    assert ogc.read(ITEMS, count="exact", kind="pump", limit=1)["numberMatched"] == 2
    assert ogc.read(ITEMS, count="estimated")["numberMatched"] >= 0


@meets("/req/core/fc-timeStamp")
def test_the_time_stamp_is_the_time_of_the_answer(ogc: Ogc) -> None:
    stamp = datetime.fromisoformat(ogc.read(ITEMS)["timeStamp"])
    assert abs(datetime.now(UTC) - stamp) < timedelta(seconds=10)


@meets("/req/core/fc-limit-response-1")
def test_a_limit_above_the_maximum_is_the_maximum(empty_ogc: Ogc) -> None:
    assert empty_ogc.get(ITEMS, limit=MAX_LIMIT + 1).status_code == 200


FINDS = (
    ("bcd", {"bbox": "10.5,50.5,13.5,53.5"}),
    ("bc", {"bbox": "10.5,50.5,0,12.5,52.5,100"}),
    ("ab", {"bbox": "10,50,11,51"}),
    ("ae", {"bbox": "13.5,-90,10.5,90"}),
    ("abcde", {"bbox": "-200,-100,200,100"}),
    ("", {"bbox": "200,0,210,10"}),
    ("bd", {"kind": "pump"}),
    ("c", {"name": "c"}),
    ("", {"external_id": "none"}),
    ("", {"owner_id": str(uuid.UUID(int=7))}),
    ("c", {"kind": "well", "bbox": "10.5,50.5,13,53"}),
)


@meets("/req/core/fc-bbox-response")
def test_sites_are_found_by_where_and_what_they_are(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    assert [("".join(ogc.found(**params)), params) for _, params in FINDS] == list(FINDS)


def test_a_box_may_cross_the_antimeridian(ogc: Ogc) -> None:
    for name, lon in (("east", 179), ("west", -179), ("beside", 170)):
        ogc.api.editor.create("/sites", site(point(lon, 0), name=name))
    assert ogc.found(bbox="175,-10,-175,10") == ["east", "west"]


@meets("/req/core/fc-time-response")
def test_sites_are_found_by_when_they_were_changed(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    _, b, c, d, _ = (site["properties"]["updated_at"] for site in five)
    assert ogc.found(datetime=c) == ["c"]
    assert ogc.found(datetime=f"{b}/{d}") == ["b", "c", "d"]
    for open_end in ("..", ""):
        assert ogc.found(datetime=f"{open_end}/{b}") == ["a", "b"]
        assert ogc.found(datetime=f"{d}/{open_end}") == ["d", "e"]
    assert ogc.found(datetime="2000-01-01T00:00:00+02:00/2001-01-01T00:00:00+02:00") == []


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"limit": "0"}, "greater_than_equal"),
        ({"limit": "unlimited"}, "int_parsing"),
        ({"bbox": "1,2,3"}, "bbox_form"),
        ({"bbox": "1,2,3,4,5"}, "bbox_form"),
        ({"bbox": "1,2,3,x"}, "float_parsing"),
        ({"bbox": "1,2,3,nan"}, "finite_number"),
        ({"bbox": "1,4,3,2"}, "bbox_upside_down"),
        ({"bbox": "1,2,1,4"}, "bbox_crosses"),
        ({"bbox": ""}, "float_parsing"),
        ({"datetime": "yesterday"}, "interval_form"),
        ({"datetime": "2026-11-30"}, "interval_form"),
        ({"datetime": "../.."}, "interval_form"),
        ({"datetime": "2026-11-30T08:00:00Z/2026-11-30T07:00:00Z"}, "interval_order"),
        ({"datetime": "2026-11-30T08:00:00Z/../.."}, "interval_form"),
        ({"datetime": "2026-13-30T08:00:00Z"}, "datetime_from_date_parsing"),
        ({"cursor": "here"}, "invalid-cursor"),
        ({"count": "some"}, "enum"),
        ({"owner_id": "me"}, "uuid_parsing"),
        ({"name": "\0"}, "string_pattern_mismatch"),
        ({"f": "xml"}, "literal_error"),
        ({"interval": "2026-11-30T08:00:00Z"}, "extra_forbidden"),
    ],
    ids=str,
)
@meets("/req/core/query-param-invalid")
def test_a_wrong_parameter_is_refused_with_its_reason(empty_ogc: Ogc, params: dict[str, Any], kind: str) -> None:
    answer = empty_ogc.get(ITEMS, **params)
    assert problem_of(answer) == (400, "invalid-parameter")
    assert {(error["loc"][1], error["type"]) for error in answer.json()["errors"]} == {(*params, kind)}


@meets("/req/core/f-op", "/req/core/f-success", "/req/core/f-links")
def test_one_feature_is_the_site_with_its_links(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    where = f"{ITEMS}/{five[0]['id']}"
    answer = ogc.get(where, accept=GEOJSON)
    feature = answer.json()
    assert answer.headers["Content-Type"] == GEOJSON
    links = feature.pop("links")
    assert feature == five[0]
    assert [(link["rel"], link["type"], link["href"]) for link in links] == [
        ("self", GEOJSON, f"{HOST}/ogc{where}"),
        ("alternate", "text/html", f"{HOST}/ogc{where}?f=html"),
        ("collection", "application/json", f"{HOST}/ogc/collections/sites"),
    ]


def test_a_feature_has_the_etag_of_its_site(ogc: Ogc, five: list[dict[str, Any]]) -> None:
    url = f"{HOST}/ogc{ITEMS}/{five[0]['id']}"
    etag = ogc.api.viewer.get(f"/sites/{five[0]['id']}").headers["ETag"]
    assert ogc.get(url).headers["ETag"] == etag
    assert ogc.api.viewer.get(url, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("feature_id", [str(uuid.UUID(int=7)), "7", "%00"])
def test_a_feature_that_there_is_not_is_not_found(empty_ogc: Ogc, feature_id: str) -> None:
    assert problem_of(empty_ogc.get(f"{ITEMS}/{feature_id}")) == (404, "not-found")
