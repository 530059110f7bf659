"""The metrics say what the status says, also after a restart, and nothing of what is gone."""

from __future__ import annotations

from builders import NOW, migration, run, succeeded
from prometheus_client import CollectorRegistry

from landfall_operator.decide import decide
from landfall_operator.metrics import Metrics

LABELS = {"namespace": "shop", "name": "api"}


def test_a_restarted_operator_tells_the_same_from_the_status_alone() -> None:
    api = migration()
    status = decide(api, [run(api, report=succeeded(), ended_ago=60)], now=NOW).status
    registry = CollectorRegistry()
    Metrics(registry).see(migration(status=status), status)
    value = registry.get_sample_value
    assert value("landfall_migration_state", LABELS | {"state": "UpToDate"}) == 1
    assert value("landfall_migration_state", LABELS | {"state": "Behind"}) == 0
    assert value("landfall_migration_ready", LABELS) == 1
    assert value("landfall_migration_stalled", LABELS) == 0
    assert value("landfall_migration_last_success_timestamp_seconds", LABELS) == NOW.timestamp() - 60


def test_runs_are_counted_by_outcome_with_their_time_and_wait() -> None:
    registry = CollectorRegistry()
    metrics, api = Metrics(registry), migration()
    metrics.finished(api, run(api, report=succeeded(lockWaitSeconds=2.0)))
    metrics.finished(api, run(api, attempt=2, report={}))
    value = registry.get_sample_value
    assert value("landfall_migration_attempts_total", LABELS | {"outcome": "Succeeded"}) == 1
    assert value("landfall_migration_attempts_total", LABELS | {"outcome": "Lost"}) == 1
    assert value("landfall_migration_duration_seconds_sum", LABELS | {"phase": "apply"}) == 10
    assert value("landfall_migration_lock_wait_seconds_sum", LABELS) == 2


def test_a_deleted_migration_leaves_no_series() -> None:
    registry = CollectorRegistry()
    metrics, api = Metrics(registry), migration()
    metrics.see(api, {"state": "Behind"})
    metrics.finished(api, run(api, report=succeeded(lockWaitSeconds=2.0)))
    metrics.forget("Migration", ("shop", "api"))
    left = [sample for family in registry.collect() for sample in family.samples if sample.labels.get("name") == "api"]
    assert left == []
