"""Vector tiles that a client or the service keeps: tags, 304, compression."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from app.services.tiles import ENTRY_BYTES, Tiles
from app.settings import TilesSettings
from tests.support.api import Api, site
from tests.support.tiles import BERLIN, circle, get

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


def tag(api: Api, place: tuple[int, int, int] = BERLIN, **params: Any) -> str:
    found: str = get(api.viewer, place, headers={"Accept-Encoding": "identity"}, **params).headers["ETag"]
    return found


def test_every_change_of_any_site_changes_the_tag(api: Api) -> None:
    tags = [tag(api)]
    made = api.editor.create("/sites", site())
    tags.append(tag(api))
    api.editor.patch(f"/sites/{made['id']}", json={"properties": {"name": "New"}})
    tags.append(tag(api))
    api.editor.delete(f"/sites/{made['id']}")
    tags.append(tag(api))
    assert len(set(tags)) == 4
    assert tag(api) == tags[-1]


def test_the_tag_is_of_the_place_and_the_parameters(api: Api) -> None:
    zoom, x, y = BERLIN
    tags = [
        tag(api),
        tag(api, (zoom, x + 1, y)),
        tag(api, (zoom, x, y + 1)),
        tag(api, (zoom + 1, x, y)),
        tag(api, properties="name"),
        tag(api, kind="pump"),
        tag(api, owner_id=api.editor.id),
    ]
    assert len(set(tags)) == len(tags)
    assert tag(api, properties="kind,name") == tags[0]


def test_a_change_that_is_refused_leaves_the_tag(api: Api) -> None:
    api.editor.create("/sites", site(external_id="P-7"))
    before = tag(api)
    assert api.editor.post("/sites", json=site(external_id="P-7")).status_code == 409
    assert tag(api) == before


@pytest.mark.parametrize("condition", ["{tag}", "W/{tag}", '"x", {tag}', '"x",W/{tag}', "*"])
def test_what_the_client_has_is_not_sent_again(api: Api, condition: str) -> None:
    api.editor.create("/sites", site())
    current = tag(api)
    answer = get(api.viewer, BERLIN, headers={"If-None-Match": condition.format(tag=current)})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", current)


@pytest.mark.parametrize("condition", ['"x"', "", "{tag}x", '"x", W/"y"'])
def test_what_the_client_has_not_is_sent(api: Api, condition: str) -> None:
    api.editor.create("/sites", site())
    headers = {"If-None-Match": condition.format(tag=tag(api).strip('"'))}
    assert get(api.viewer, BERLIN, headers=headers).status_code == 200


@contextmanager
def statements(api: Api) -> Iterator[list[str]]:
    ran: list[str] = []

    def note(_: Connection, __: Any, statement: str, *___: Any) -> None:
        ran.append(statement)

    state = api.app.state
    engines = [state.database.engine, state.reads.engine, state.callers.reads.engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield ran
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def looks(ran: list[str]) -> int:
    """How many of the statements read sites."""
    return len([statement for statement in ran if "geom" in statement or "FROM sites" in statement])


def test_a_client_that_has_the_tile_costs_no_look_at_a_geometry(api: Api) -> None:
    api.editor.create("/sites", site())
    current = tag(api)
    api.app.state.tiles = Tiles(TilesSettings())  # the service has it no more
    with statements(api) as ran:
        assert get(api.viewer, BERLIN, headers={"If-None-Match": current}).status_code == 304
    assert looks(ran) == 0
    with statements(api) as ran:
        assert get(api.viewer, BERLIN).status_code == 200
    assert looks(ran) == 1


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_tile_is_made_once_for_all_until_a_site_changes(api: Api, encoding: str) -> None:
    for number in range(20):
        api.editor.create("/sites", site(circle(BERLIN, 200 * number, 2000, 700), name=f"A name {number}"))
    accepted = {"Accept-Encoding": encoding}
    first = get(api.viewer, BERLIN, headers=accepted)
    with statements(api) as ran:
        again = get(api.editor, BERLIN, headers=accepted)
        other = get(api.viewer, BERLIN, headers=accepted, properties="")
    assert (again.content, again.headers["ETag"]) == (first.content, first.headers["ETag"])
    assert again.headers.get("Content-Encoding") == first.headers.get("Content-Encoding")
    assert other.content != first.content
    assert looks(ran) == 1
    api.editor.create("/sites", site(circle(BERLIN, 1000, 1000, 700), name="new"))
    changed = get(api.viewer, BERLIN, headers=accepted)
    assert b"new" in changed.content
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_what_nobody_has_is_made_in_one_go_and_what_is_kept_is_found_by_one_look(api: Api) -> None:
    api.editor.create("/sites", site())
    get(api.viewer, (0, 0, 0))  # it is logged in
    with statements(api) as ran:
        get(api.viewer, BERLIN)
    assert [looks([each]) for each in ran] == [1]  # who asks, and the tile
    with statements(api) as ran:
        get(api.viewer, BERLIN)
    assert [looks([each]) for each in ran] == [0]  # who asks, with the version


def test_a_place_without_sites_is_kept_too(api: Api) -> None:
    get(api.viewer, BERLIN)
    with statements(api) as ran:
        assert get(api.viewer, BERLIN).status_code == 204
    assert looks(ran) == 0


@pytest.mark.parametrize(("tiles", "made"), [(2.5, 1), (1.5, 2), (0.5, 2), (0, 2)])
def test_as_many_tiles_are_kept_as_there_is_room_for(api: Api, tiles: float, made: int) -> None:
    api.editor.create("/sites", site(circle(BERLIN, 2000, 2000, 700)))
    each = len(get(api.viewer, BERLIN).content) + ENTRY_BYTES
    api.app.state.tiles = Tiles(TilesSettings(cache_bytes=int(each * tiles)))
    with statements(api) as ran:
        for properties in ("name,kind", "kind", "name,kind"):
            assert get(api.viewer, BERLIN, properties=properties).status_code == 200
    assert looks(ran) == 1 + made


def test_an_empty_tile_has_a_tag_and_no_content(api: Api) -> None:
    answer = get(api.viewer, BERLIN)
    assert (answer.status_code, answer.content) == (204, b"")
    assert get(api.viewer, BERLIN, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_tile_is_kept_by_its_reader_alone_and_asked_for_again_each_time(api: Api) -> None:
    api.editor.create("/sites", site())
    for answer in (get(api.viewer, BERLIN), get(api.viewer, BERLIN, headers={"If-None-Match": "*"})):
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, br", None),
        ("GZIP", "gzip"),
    ],
)
def test_a_large_tile_is_compressed_for_who_takes_it(api: Api, accepted: str, encoding: str | None) -> None:
    for number in range(20):
        api.editor.create("/sites", site(circle(BERLIN, 200 * number, 2000, 700), name=f"A name {number}"))
    plain = get(api.viewer, BERLIN, headers={"Accept-Encoding": "identity"})
    answer = get(api.viewer, BERLIN, headers={"Accept-Encoding": accepted})
    assert answer.content == plain.content
    assert answer.headers.get("Content-Encoding") == encoding
    assert (int(answer.headers["Content-Length"]) < len(plain.content)) == bool(encoding)
    assert (answer.headers["ETag"] != plain.headers["ETag"]) == bool(encoding)
    both = {"Accept-Encoding": accepted, "If-None-Match": answer.headers["ETag"]}
    again = get(api.viewer, BERLIN, headers=both)
    assert (again.status_code, again.headers["ETag"]) == (304, answer.headers["ETag"])


def test_a_small_tile_is_not_compressed(api: Api) -> None:
    api.editor.create("/sites", site())
    assert "Content-Encoding" not in get(api.viewer, BERLIN, headers={"Accept-Encoding": "gzip"}).headers
