"""Plans are found in a log unchanged, and kept within what a ConfigMap holds."""

from __future__ import annotations

import hashlib

import builders
import pytest

from landfall_operator.constants import PLAN_BYTES
from landfall_operator.plans import FrameError, build_config_map, frame, plan_status

SQL = "SELECT 'ä\r\n-----END LANDFALL PLAN-----\n';\n"
SHA256 = hashlib.sha256(SQL.encode()).hexdigest()


def framed(sql: str, *, name: str = "PLAN") -> bytes:
    data = sql.encode()
    begin = f"-----BEGIN LANDFALL {name} {len(data)} {hashlib.sha256(data).hexdigest()}-----\n"
    return b"noise\n" + begin.encode() + data + f"\n-----END LANDFALL {name}-----\n".encode()


def test_a_frame_is_found_among_others_byte_by_byte() -> None:
    log = framed("SELECT 1") + framed("a<", name="LINEAGE") + framed(SQL)
    assert frame(log, "PLAN", sha256=SHA256) == SQL


@pytest.mark.parametrize("log", [b"", framed("SELECT 1"), framed(SQL)[:-60], framed(SQL, name="LINEAGE")])
def test_a_frame_that_is_missing_or_cut_is_an_error(log: bytes) -> None:
    with pytest.raises(FrameError, match=SHA256[:12]):
        frame(log, "PLAN", sha256=SHA256)


def test_a_plan_too_large_for_a_config_map_is_cut_with_a_note() -> None:
    sql = "-- ä\n" * PLAN_BYTES
    kept = build_config_map(builders.migration(), sql)["data"]["plan.sql"]
    assert len(kept.encode()) < PLAN_BYTES + 200
    assert "Cut here" in kept[-200:]


def test_a_plan_of_a_short_one_is_kept_as_it_is() -> None:
    assert build_config_map(builders.migration(), SQL)["data"]["plan.sql"] == SQL


def test_statements_are_counted_without_alembics_own() -> None:
    migration = builders.migration()
    sql = "BEGIN;\nCREATE TABLE a (b int);\nINSERT INTO meta.v (version_num) VALUES ('a1');\nCOMMIT;\n"
    run = builders.run(migration, phase="plan", report=builders.planned(versionTable="meta.v", checks=["Slow."]))
    status = plan_status(migration, run, sql, [])
    assert (status["statements"], status["bytes"], status["note"]) == (1, len(sql), "Slow.")
    assert status["sha256"] == hashlib.sha256(sql.encode()).hexdigest()
