"""Prometheus metrics of the operator; built once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from landfall_operator.conditions import condition
from landfall_operator.resource import Json, Key, Resource, moment
from landfall_operator.views import Migration, Run

STATES = ("Unknown", "Unversioned", "Behind", "UpToDate", "Ahead", "Diverged", "MultipleHeads")
NAMES = ("namespace", "name")
RUN_SECONDS = (1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._state = Gauge(
            "landfall_migration_state", "1 for the state that it is in", [*NAMES, "state"], registry=registry
        )
        self._pending = Gauge("landfall_migration_pending", "Revisions not yet applied", NAMES, registry=registry)
        self._ready = Gauge("landfall_migration_ready", "1 where it is ready", NAMES, registry=registry)
        self._stalled = Gauge("landfall_migration_stalled", "1 where it waits for people", NAMES, registry=registry)
        self._success = Gauge(
            "landfall_migration_last_success_timestamp_seconds", "End of the last good run", NAMES, registry=registry
        )
        self._duration = Histogram(
            "landfall_migration_duration_seconds",
            "A run's time",
            [*NAMES, "phase"],
            buckets=RUN_SECONDS,
            registry=registry,
        )
        self._attempts = Counter(
            "landfall_migration_attempts", "Runs by outcome", [*NAMES, "outcome"], registry=registry
        )
        self._lock_wait = Histogram(
            "landfall_migration_lock_wait_seconds",
            "Wait for the lock",
            NAMES,
            buckets=(0.1, *RUN_SECONDS),
            registry=registry,
        )
        self._of_migrations = (
            self._state,
            self._pending,
            self._ready,
            self._stalled,
            self._success,
            self._duration,
            self._attempts,
            self._lock_wait,
        )
        self._bucket_ready = Gauge("landfall_bucket_ready", "1 where it is ready", NAMES, registry=registry)
        self._credential_ready = Gauge("landfall_credential_ready", "1 where it is ready", NAMES, registry=registry)
        self.outdated = Gauge(
            "landfall_crd_outdated", "1 where the served CRD lacks what this version needs", registry=registry
        )
        self.reconcile = Histogram(
            "landfall_reconcile_seconds",
            "Time of one look at one resource",
            ["kind"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.bucket_reconcile = Histogram(
            "landfall_bucket_reconcile_seconds",
            "Time of one look at a Bucket and its store",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.errors = Counter("landfall_reconcile_errors", "Looks that ended in an error", ["kind"], registry=registry)
        for kind in ("Migration", "Bucket", "Credential"):
            for metric in (self.reconcile, self.errors):
                metric.labels(kind)  # an alert needs the series before its first change

    def see(self, migration: Migration, status: Json) -> None:
        names = (migration.namespace, migration.name)
        for state in STATES:
            self._state.labels(*names, state).set(status.get("state", "Unknown") == state)
        self._pending.labels(*names).set(status.get("pendingCount", 0))
        self._ready.labels(*names).set(condition(status, "Ready").get("status") == "True")
        self._stalled.labels(*names).set(condition(status, "Stalled").get("status") == "True")
        if at := _last_success(status):
            self._success.labels(*names).set(at)

    def ready(self, resource: Resource, *, ready: bool) -> None:
        """Of a Bucket or a Credential."""
        gauge = self._bucket_ready if resource.kind == "Bucket" else self._credential_ready
        gauge.labels(*resource.key).set(ready)

    def finished(self, migration: Migration, run: Run) -> None:
        names = (migration.namespace, migration.name)
        self._attempts.labels(*names, run.report.get("outcome") or "Lost").inc()
        if run.seconds is not None:
            self._duration.labels(*names, run.phase).observe(run.seconds)
        if "lockWaitSeconds" in run.report:
            self._lock_wait.labels(*names).observe(run.report["lockWaitSeconds"])

    def forget(self, kind: str, key: Key) -> None:
        """What is deleted leaves no series behind."""
        of = {"Bucket": (self._bucket_ready,), "Credential": (self._credential_ready,)}
        for metric in of.get(kind, self._of_migrations):
            metric.remove_by_labels(dict(zip(NAMES, key, strict=True)))


def _last_success(status: Json) -> float | None:
    """From the history, so that a restart of the operator loses nothing."""
    ends = [
        began.timestamp() + entry.get("durationSeconds", 0)
        for entry in status.get("history") or []
        if entry.get("outcome") in {"Succeeded", "UpToDate"} and (began := moment(entry.get("startedAt")))
    ]
    return max(ends, default=None)
