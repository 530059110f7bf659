"""Twice as many requests as the service can do: what it lets in it answers in time, and the rest it refuses at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.overload import measure, served
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.alone, pytest.mark.fault, pytest.mark.slow]

# Whatever else the machine does can only make the figures worse: one good run shows what the service can do.
RUNS = 5
SECONDS = 10.0


def test_overload_is_refused_and_what_is_let_in_is_served_as_well_as_ever(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    failures = []
    with served(own_postgres, tmp_path) as service:
        for _ in range(RUNS):
            figures = measure(service, seconds=SECONDS)
            if not figures.failures():
                break
            failures.append("; ".join(figures.failures()))
    assert len(failures) < RUNS, failures
    assert 0.3 < figures.refused_share < 0.7


def test_without_the_admission_limit_the_same_load_ends_in_long_waits(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with served(own_postgres, tmp_path, ADMISSION_ENABLED="false") as service:
        figures = measure(service, seconds=SECONDS / 2)
    assert figures.accepted.p99 > 2 * figures.limit
    assert any("accepted p99" in failure for failure in figures.failures())
