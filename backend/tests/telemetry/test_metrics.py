"""The metrics' text."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import NullPool, create_engine

from app.telemetry.metrics import Metrics


def test_a_pools_gauges_follow_it(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite3", pool_size=1, max_overflow=1)
    metrics = Metrics(CollectorRegistry())
    metrics.watch_pools([engine.pool])
    with engine.connect(), engine.connect():
        busy = metrics.render().decode()
    idle = metrics.render().decode()
    assert "database_pool_size 1.0" in busy
    assert "database_pool_checked_out 2.0" in busy
    assert "database_pool_overflow 1.0" in busy
    assert "database_pool_checked_out 0.0" in idle
    assert "database_pool_overflow 0.0" in idle
    engine.dispose()


def test_a_pool_that_keeps_nothing_shows_nothing() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.watch_pools([create_engine("sqlite://", poolclass=NullPool).pool])
    assert "database_pool" not in metrics.render().decode()


def test_two_applications_in_one_process_count_apart() -> None:
    first, second = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    first.observe("GET", route="/a", status=200, seconds=0.1)
    assert 'route="/a"' in first.render().decode()
    assert 'route="/a"' not in second.render().decode()
