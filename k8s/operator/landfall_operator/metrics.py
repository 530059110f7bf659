"""Prometheus metrics of the operator; built once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from landfall_operator.views import Json, Migration, Run

STATES = ("Unknown", "Unversioned", "Behind", "UpToDate", "Ahead", "Diverged", "MultipleHeads")
NAMES = ("namespace", "name")


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._state = Gauge(
            "landfall_migration_state", "1 for the state that it is in", [*NAMES, "state"], registry=registry
        )
        self._pending = Gauge("landfall_migration_pending", "Revisions not yet applied", NAMES, registry=registry)
        self._success = Gauge(
            "landfall_migration_last_success_timestamp_seconds", "When it last became ready", NAMES, registry=registry
        )
        self._duration = Histogram(
            "landfall_migration_duration_seconds", "A run's time", [*NAMES, "phase"], registry=registry
        )
        self._attempts = Counter(
            "landfall_migration_attempts", "Runs by outcome", [*NAMES, "outcome"], registry=registry
        )
        self._lock_wait = Histogram(
            "landfall_migration_lock_wait_seconds", "Wait for the lock", NAMES, registry=registry
        )
        self.reconcile = Histogram(
            "landfall_reconcile_seconds",
            "Time of one look at one resource",
            ["kind"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.errors = Counter("landfall_reconcile_errors", "Looks that ended in an error", ["kind"], registry=registry)

    def see(self, migration: Migration, status: Json) -> None:
        names = (migration.namespace, migration.name)
        for state in STATES:
            self._state.labels(*names, state).set(status.get("state", "Unknown") == state)
        self._pending.labels(*names).set(status.get("pendingCount", 0))

    def ready(self, migration: Migration, at: float) -> None:
        self._success.labels(migration.namespace, migration.name).set(at)

    def finished(self, migration: Migration, run: Run) -> None:
        names = (migration.namespace, migration.name)
        self._attempts.labels(*names, run.report.get("outcome") or "Lost").inc()
        if run.seconds is not None:
            self._duration.labels(*names, run.phase).observe(run.seconds)
        if "lockWaitSeconds" in run.report:
            self._lock_wait.labels(*names).observe(run.report["lockWaitSeconds"])

    def forget(self, namespace: str, name: str) -> None:
        """A deleted Migration leaves no series behind."""
        for metric in (self._state, self._pending, self._success, self._duration, self._attempts, self._lock_wait):
            for labels in list(metric._metrics):  # noqa: SLF001 - prometheus_client has no other list of children
                if labels[:2] == (namespace, name):
                    metric.remove(*labels)
