"""The benchmark's own parts: the rows that it makes, its statistics and its table; no peer is installed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks import features
from benchmarks.support.bench import answers_a_second
from benchmarks.support.dataset import ZOOM, Extent, connect, fill, insert
from benchmarks.support.floor import script_of, statements_in
from benchmarks.support.generator import Shot
from benchmarks.support.peers import PINS
from benchmarks.support.reads import next_path
from benchmarks.support.rounds import Bar, Line, at_most, growth_table, table

ROWS = 1800

ON_EACH_TILE = text(
    """
    SELECT (SELECT count(*) FROM sites WHERE geom && ST_Transform(ST_TileEnvelope(:zoom, x, y), 4326))
    FROM generate_series(:left, :left + :across - 1) AS x, generate_series(:top, :top + :across - 1) AS y
    """
)
SHAPES = text(
    "SELECT DISTINCT GeometryType(geom), ST_NPoints(geom), ST_IsValid(geom), ST_Within(geom, ST_Expand(box, 0.02))"
    " FROM sites, ST_MakeEnvelope(:west, :south, :east, :north, 4326) AS box"
)
CONTENT = text("SELECT md5(string_agg(id || ST_AsText(geom) || properties, '' ORDER BY id)) FROM sites")


def shot(*, due: float, latency: float) -> Shot:
    return Shot(due=due, lag=0, latency=latency, status=200, retry_after=False, size=1)


def test_the_polygons_have_25_points_and_some_200_of_them_are_on_a_tile_of_zoom_10(
    new_database_url: str, tmp_path: Path
) -> None:
    extent = Extent.of(ROWS)
    west, south, east, north = extent.box
    fill(new_database_url, tmp_path, rows=ROWS)
    with connect(new_database_url) as connection:
        tiles = {"zoom": ZOOM, "left": extent.x, "top": extent.y, "across": extent.across}
        counts = connection.scalars(ON_EACH_TILE, tiles).all()
        shapes = connection.execute(SHAPES, {"west": west, "south": south, "east": east, "north": north}).all()
    assert len(counts) == 9
    assert all(150 < count < 260 for count in counts), counts
    assert shapes == [("POLYGON", 25, True, True)]


def test_the_rows_are_the_same_each_time(new_database_url: str, tmp_path: Path) -> None:
    fill(new_database_url, tmp_path, rows=100)
    with connect(new_database_url) as connection:
        first = connection.scalar(CONTENT)
        owner_id = connection.scalars(text("DELETE FROM sites RETURNING owner_id")).all()[0]
        insert(connection, owner_id=owner_id, rows=100)
        assert connection.scalar(CONTENT) == first


@pytest.mark.parametrize("rows", [20_000, 200_000, 2_000_000])
def test_the_extent_grows_with_the_rows_and_lies_within_the_world(rows: int) -> None:
    extent = Extent.of(rows)
    west, south, east, north = extent.box
    assert 190 < rows / extent.across**2 < 210
    assert -180 < west < east < 180
    assert -85 < south < north < 85


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    line = Line(row="items", ours=[100, 10, 60], peer="tipg", theirs=[20, 5, 10])
    assert line.ratio == 5


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (
            Line(row="items", ours=[1234, 1200], peer="tipg", theirs=[200, 200], bar=Bar(limit=5)),
            "| items | 1,217/s | tipg 200/s | 6.08 | ≥ 5 | met |",
        ),
        (
            Line(row="items", ours=[100], peer="tipg", theirs=[50], bar=Bar(limit=5)),
            "| items | 100/s | tipg 50/s | 2.00 | ≥ 5 | **missed** |",
        ),
        (
            Line(row="page", unit=" ms", ours=[2.614], peer="page 1", theirs=[2], bar=at_most(1.3)),
            "| page | 2.61 ms | page 1 2 ms | 1.31 | ≤ 1.3 | **missed** |",
        ),
        (Line(row="memory", unit=" MiB", ours=[9], bar=at_most(64)), "| memory | 9 MiB |  |  | ≤ 64 | met |"),
        (Line(row="import", ours=[9000], bar=Bar(limit=12_000)), "| import | 9,000/s |  |  | ≥ 12,000 | **missed** |"),
        (Line(row="tiles", missing="not served by this version"), "| tiles |  |  |  |  | not served by this version |"),
    ],
)
def test_a_line_of_the_table_says_whether_its_bar_is_met(line: Line, cells: str) -> None:
    assert table([line]).splitlines()[2] == cells


def test_growth_is_told_from_the_smallest_to_the_largest() -> None:
    shown = growth_table({"items": {"10": [1.0, 3.0, 2.0], "100": [2.0, 3.0, 4.0], "1,000": [3.0, 3.0, 6.0]}})
    assert shown.splitlines()[0] == "|  | 10 rows | 100 rows | 1,000 rows | last to first |"
    assert shown.splitlines()[2] == "| items | 2 ms | 3 ms | 3 ms | 3.00 |"


def test_an_answer_after_the_end_counts_for_its_part_before() -> None:
    assert answers_a_second([shot(due=0, latency=1), shot(due=1, latency=4)], seconds=2) == pytest.approx(1.25 / 2)


@pytest.mark.parametrize(
    ("page", "path"),
    [
        (b'{"features":[{"id":"1"}],"next": "http://127.0.0.1:1/sites?cursor=x","prev": null}', "/sites?cursor=x"),
        (b'{"features":[],"next": null,"prev": null}', None),
        (b'{"links":[{"href":"http://a:1/i?a=1","rel":"next","type":"b"},{"rel":"prev"}],"features":[]}', "/i?a=1"),
        (b'{"features":[],"links":[{"rel":"self","href":"http://a/i"}]}', None),
    ],
)
def test_the_next_page_is_found_in_a_member_or_in_a_link(page: bytes, path: str | None) -> None:
    assert next_path(page) == path


def test_statements_that_went_out_together_go_out_together_from_pgbench() -> None:
    assert script_of(["BEGIN", "SET a = 1; SET b = 2"]) == "BEGIN;\nSET a = 1\\; SET b = 2;\n"


def test_what_is_kept_prepared_is_told_apart_from_what_executes_it_whether_it_was_made_before_or_now() -> None:
    make, call = "PREPARE landfall_1 (integer) AS SELECT\n\t$1 FROM sites", "EXECUTE landfall_1 (1)"
    kept = make.replace("\t", "")
    now = f"@@7 LOG:  statement: SET LOCAL a = 1; {make}; {call}\n@@8 LOG:  statement: SELECT 2\n"
    assert statements_in(now, table="sites") == [kept, f"SET LOCAL a = 1; {call}"]
    before = f"@@7 LOG:  statement: SET LOCAL a = 2; {call}\n@@7 DETAIL:  prepare: SET LOCAL a = 1; {make}; {call}\n"
    assert statements_in(before, table="sites") == [kept, f"SET LOCAL a = 2; {call}"]
    who = "@@6 LOG:  statement: SELECT role FROM users\n"
    assert statements_in(who + now, table="sites") == [kept, "SELECT role FROM users", f"SET LOCAL a = 1; {call}"]


def test_pgbench_prepares_what_the_service_keeps_prepared_and_once() -> None:
    lines = script_of(["PREPARE a AS SELECT 1", "SET b = 2; EXECUTE a"]).splitlines()
    made = [r"\if :made", r"\else", "PREPARE a AS SELECT 1;", r"\set made 1", r"\endif"]
    assert lines == [*made, r"SET b = 2\; EXECUTE a;"]


def test_each_peer_and_what_serves_it_is_pinned() -> None:
    assert set(PINS) == {"tipg", "pygeoapi"}
    assert all(re.fullmatch(r"[a-z0-9-]+(\[\w+\])?==[\d.]+", pin) for pins in PINS.values() for pin in pins)


def test_every_bar_has_its_row() -> None:
    assert list(features.ROWS) == (
        ["items", "exact", "large", "bbox", "deep", "walk", "tiles", "export", "import", "overload", "artifact"]
    )
