"""Lists: filters, order, pages, counts; the same on either database."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.api import Api, one_database, point, problem_of, site, task, wrong_fields

LISTS = ("/tasks", "/sites", "/users", "/audit-events", "/artifacts")


def titles(api: Api, **params: Any) -> set[str]:
    return {row["title"] for row in api.viewer.listed("/tasks", **params)}


def names(api: Api, **params: Any) -> set[str]:
    return {row["properties"]["name"] for row in api.viewer.listed("/sites", **params)}


def walk(api: Api, path: str, *, link: str = "next", **params: Any) -> Iterator[dict[str, Any]]:
    """Every page from the first on, or from the last back."""
    page = api.admin.read(path, params=params)
    yield page
    while page[link]:
        page = api.admin.read(page[link])
        yield page


@pytest.fixture
def five_tasks(api: Api) -> str:
    """The tasks a to e; gives the id of the site of a and e."""
    place: str = api.editor.create("/sites", site())["id"]
    for body in (
        task(
            title="a", status="pending", priority="low", tags=["x", "y"], due_at="2020-01-01T00:00:00Z", site_id=place
        ),
        task(title="b", status="in_progress", priority="normal", tags=["x"], due_at="2020-06-01T00:00:00Z"),
        task(title="c", status="completed", priority="high", tags=["y", "z"], due_at="2020-01-01T00:00:00Z"),
        task(title="d", status="cancelled", priority="urgent", due_at="2020-01-01T00:00:00Z", owner_id=api.admin.id),
        task(title="e", status="pending", priority="urgent", tags=["z"], due_at="8999-01-01T00:00:00Z", site_id=place),
        task(title="f", status="pending", priority="normal", tags=['"', "x,y"]),
    ):
        api.editor.create("/tasks", body)
    return place


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "abcdef"),
        ({"status": "pending"}, "aef"),
        ({"status": ["pending", "completed"]}, "acef"),
        ({"priority": ["low", "urgent"]}, "ade"),
        ({"tags_any": "x"}, "ab"),
        ({"tags_any": ["x", "z"]}, "abce"),
        ({"tags_all": ["x", "y"]}, "a"),
        ({"tags_all": ["y"]}, "ac"),
        ({"tags_any": "x,y"}, "f"),
        ({"tags_all": '"'}, "f"),
        ({"overdue": "true"}, "ab"),
        ({"overdue": "false"}, "cdef"),
        ({"due_from": "2020-06-01T00:00:00Z"}, "be"),
        ({"due_from": "2020-06-01T02:00:00+02:00"}, "be"),
        ({"due_before": "2020-06-01T00:00:00Z"}, "acd"),
        ({"due_from": "2020-01-01T00:00:00Z", "due_before": "2020-01-01T00:00:01Z"}, "acd"),
        ({"text": "A"}, "a"),
        ({"status": "pending", "priority": "urgent", "tags_any": "z"}, "e"),
        ({"status": "completed", "overdue": "true"}, ""),
    ],
    ids=str,
)
def test_tasks_are_found_by_what_they_are(api: Api, five_tasks: str, params: dict[str, Any], found: str) -> None:
    assert titles(api, **params) == set(found)


def test_tasks_are_found_by_whose_and_where_they_are(api: Api, five_tasks: str) -> None:
    assert titles(api, owner_id=api.admin.id) == {"d"}
    assert titles(api, owner_id=str(uuid.uuid4())) == set()
    assert titles(api, site_id=five_tasks) == {"a", "e"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("100%", {"100% done"}), ("_", {"a_b"}), ("\\", {"c\\d"}), ("DONE", {"100% done"}), ("ÄRGER", {"großer ärger"})],
)
def test_text_is_searched_as_it_is_in_any_case(api: Api, text: str, found: set[str]) -> None:
    for title in ("100% done", "1000", "a_b", "axb", "c\\d", "großer ärger"):
        api.editor.create("/tasks", task(title=title))
        api.editor.create("/sites", site(name=title))
    assert titles(api, text=text) == found
    assert names(api, text=text) == found


def test_text_is_searched_in_descriptions_too(api: Api) -> None:
    api.editor.create("/tasks", task(title="t", description="behind the SHED"))
    assert titles(api, text="shed") == {"t"}


PLACES = {
    "Berlin": point(13.4, 52.5),
    "Suva": point(178.4, -18.1),
    "Apia": point(-171.8, -13.8),
    "Quito": point(-78.5, -0.2),
    "Null Island": {"type": "Polygon", "coordinates": [[[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]]},
}


@pytest.fixture
def five_sites(api: Api) -> None:
    for name, geometry in PLACES.items():
        api.editor.create("/sites", site(geometry, name=name, kind=name[0], external_id=name))


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"bbox": "13,52,14,53"}, {"Berlin"}),
        ({"bbox": "13.4,52.5,14,53"}, {"Berlin"}),
        ({"bbox": "-180,-90,180,90"}, set(PLACES)),
        ({"bbox": "170,-20,-170,-10"}, {"Suva", "Apia"}),
        ({"bbox": "-170,-20,170,-10"}, set()),
        ({"bbox": "0.5,0.5,2,2"}, {"Null Island"}),
        ({"near": "13.4,52.5,1"}, {"Berlin"}),
        ({"near": "13.3,52.5,6700"}, set()),
        ({"near": "13.3,52.5,6900"}, {"Berlin"}),
        ({"near": "180,-15,2000000"}, {"Suva", "Apia"}),
        ({"near": "0,0,1"}, {"Null Island"}),
        ({"kind": ["B", "Q"]}, {"Berlin", "Quito"}),
        ({"external_id": "Apia"}, {"Apia"}),
        ({"text": "b"}, {"Berlin"}),
        ({"bbox": "-180,-90,180,90", "near": "13.4,52.5,1", "kind": "S"}, set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),  # workers must agree on them
)
def test_sites_are_found_by_place_and_name(api: Api, five_sites: None, params: dict[str, Any], found: set[str]) -> None:
    assert names(api, **params) == found


def test_sites_are_found_by_owner(api: Api, five_sites: None) -> None:
    api.admin.create("/sites", site(name="mine"))
    assert names(api, owner_id=api.admin.id) == {"mine"}


@one_database
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bbox", "1,2,3"),
        ("bbox", "1,2,3,x"),
        ("bbox", "0,10,1,5"),
        ("bbox", "0,0,1,91"),
        ("bbox", "nan,0,1,1"),
        ("near", "1,2"),
        ("near", "1,2,-3"),
        ("near", "1,2,inf"),
        ("near", "200,2,3"),
    ],
)
def test_a_place_that_is_none_is_refused(api: Api, name: str, value: str) -> None:
    ((where, _),) = wrong_fields(api.viewer.get("/sites", params={name: value}))
    assert where.startswith(f"query.{name}")


def test_users_are_found_by_role_and_sorted_by_email(api: Api) -> None:
    emails = sorted(api.user("viewer").email for _ in range(3))
    found = api.admin.listed("/users", role="viewer", sort="-email")
    assert [user["email"] for user in found] == emails[::-1]


@one_database
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "many"),
        ("count", "all"),
        ("sort", "id"),
        ("sort", "--created_at"),
        ("owner", "me"),
        ("Limit", "1"),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(api: Api, name: str, value: str) -> None:
    for path in LISTS:
        assert [loc for loc, _ in wrong_fields(api.admin.get(path, params={name: value}))] == [f"query.{name}"]


def test_a_repeated_parameter_that_takes_one_value_takes_the_last(api: Api) -> None:
    assert api.viewer.get("/tasks?limit=2&limit=1").status_code == 200


@pytest.fixture
def seven_tasks(api: Api) -> list[str]:
    """Titles of seven tasks, three of them alike."""
    made = ["a", "b", "b", "b", "c", "d", "e"]
    for title in reversed(made):
        api.editor.create("/tasks", task(title=title, tags=["x", "y"], due_at="2026-01-01T00:00:00Z"))
    return made


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_give_every_row_once_forth_and_back(api: Api, seven_tasks: list[str], limit: int) -> None:
    forth = list(walk(api, "/tasks", limit=limit, sort="title"))
    assert [row["title"] for page in forth for row in page["items"]] == seven_tasks
    assert len({row["id"] for page in forth for row in page["items"]}) == 7
    assert (forth[0]["prev"], forth[-1]["next"]) == (None, None)
    page, back = forth[-1], [forth[-1]["items"]]
    while page["prev"]:
        page = api.admin.read(page["prev"])
        back.append(page["items"])
    assert back[::-1] == [page["items"] for page in forth]


def test_rows_that_come_and_go_meanwhile_do_not_move_the_others(api: Api, seven_tasks: list[str]) -> None:
    first = api.editor.read("/tasks", params={"limit": 3, "sort": "title"})
    api.editor.create("/tasks", task(title="0"))
    api.editor.delete(f"/tasks/{first['items'][2]['id']}")
    second = api.editor.read(first["next"])
    assert [row["title"] for row in second["items"]] == ["b", "c", "d"]


def test_links_keep_every_parameter(api: Api, seven_tasks: list[str]) -> None:
    params = [
        ("limit", "2"),
        ("sort", "title"),
        ("tags_all", "x"),
        ("tags_all", "y"),
        ("status", "pending"),
        ("status", "completed"),
        ("due_before", "2999-01-01T00:00:00+01:00"),
        ("count", "exact"),
    ]
    first = api.admin.read("/tasks", params=params)
    second = api.admin.read(first["next"])
    for link in (first["next"], second["next"], second["prev"]):
        kept = parse_qsl(urlsplit(link).query)
        assert sorted(pair for pair in kept if pair[0] != "cursor") == sorted(params)
        assert [name for name, _ in kept].count("cursor") == 1
        assert link.startswith("http://testserver/api/v1/tasks?")


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_has_no_neighbours(api: Api, path: str) -> None:
    never = {"owner_id": str(uuid.uuid4())} if path in {"/tasks", "/sites", "/artifacts"} else {}
    page = api.admin.read(path, params=never | {"limit": 1000})
    assert (page["next"], page["prev"], page["count"]) == (None, None, None)


@pytest.mark.parametrize("count", ["exact", "estimated"])
def test_a_count_is_of_all_matches_on_every_page(api: Api, seven_tasks: list[str], count: str) -> None:
    pages = list(walk(api, "/tasks", limit=3, sort="title", count=count))
    if count == "exact":
        assert [page["count"] for page in pages] == [7, 7, 7]
        assert api.admin.read("/tasks", params={"text": "b", "count": "exact", "limit": 1})["count"] == 3
    else:
        assert all(page["count"] >= 0 for page in pages)


def test_an_estimate_is_not_below_what_the_page_shows(api: Api) -> None:
    api.editor.create("/tasks", task())
    with api.app.state.database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE tasks")
    for _ in range(4):
        api.editor.create("/tasks", task())
    whole, part = (api.editor.read("/tasks", params={"count": "estimated", "limit": limit}) for limit in (5, 3))
    assert whole["count"] >= 5
    assert part["count"] >= 4


def test_a_count_is_made_only_when_asked_for(api: Api, seven_tasks: list[str]) -> None:
    assert api.admin.read("/tasks")["count"] is None


def tampered(cursor: str) -> dict[str, str]:
    sort, backward, value, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=="))

    def encode(*parts: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    return {
        "cut short": cursor[:-5],
        "not base64": "!" + cursor,
        "not JSON": base64.urlsafe_b64encode(b"{").decode(),
        "another sort": encode("-title", backward, value, row_id),
        "another type": encode(sort, backward, 7, row_id),
        "a truth as a title": encode(sort, backward, True, row_id),
        "no title": encode(sort, backward, None, row_id),
        "NUL": encode(sort, backward, "\0", row_id),
        "half a surrogate": encode(sort, backward, "\ud800", row_id),
        "direction": encode(sort, 1, value, row_id),
        "no id": encode(sort, backward, value, "7"),
        "too few": encode(sort, backward),
        "an object": base64.urlsafe_b64encode(b"{}").decode(),
        "deep": base64.urlsafe_b64encode(b"[" * 1400).decode(),
    }


def test_a_cursor_that_the_list_did_not_give_is_refused(api: Api, seven_tasks: list[str]) -> None:
    first = api.admin.read("/tasks", params={"limit": 2, "sort": "title"})
    (cursor,) = [value for name, value in parse_qsl(urlsplit(first["next"]).query) if name == "cursor"]
    for what, text in tampered(cursor).items():
        answer = api.admin.get("/tasks", params={"sort": "title", "cursor": text})
        assert problem_of(answer) == (422, "invalid-cursor"), what
    assert problem_of(api.admin.get("/tasks", params={"cursor": cursor})) == (422, "invalid-cursor")


FAR = ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-01-01T00:00:00")
NUMBERS = ("1" * 30, "1" * 1400, "true", "1.5", "NaN", "null")


@one_database
@pytest.mark.parametrize(
    ("sort", "value"), [*(("created_at", f'"{moment}"') for moment in FAR), *(("priority", text) for text in NUMBERS)]
)
def test_a_cursor_with_a_value_that_no_row_has_is_refused(api: Api, sort: str, value: str) -> None:
    raw = f'["{sort}",false,{value},"{uuid.UUID(int=7)}"]'.encode()
    answer = api.admin.get("/tasks", params={"sort": sort, "cursor": base64.urlsafe_b64encode(raw).decode()})
    assert problem_of(answer) == (422, "invalid-cursor")
