"""Migrations and runs as the API server would show them, with what a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from landfall_operator.decide import Decision, decide
from landfall_operator.views import Migration, Run

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
HASH = "e" * 64


def spec(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "image": "registry.example/api:1",
        "alembic": {"config": "alembic.ini", "section": "alembic", "python": "python3"},
        "database": {
            "urlFrom": {"secretKeyRef": {"name": "db", "key": "DATABASE_URL"}},
            "env": "DATABASE_URL",
            "takeOver": False,
        },
        "target": "head",
        "mode": "Auto",
        "policy": {
            "lockTimeout": "1s",
            "lockWait": "10m",
            "deadline": "1h",
            "destructive": "Allow",
            "onAhead": "Tolerate",
            "invalidIndexes": "Report",
        },
        "suspend": False,
        "template": {},
    }
    policy = base["policy"] | changes.pop("policy", {})
    return base | changes | {"policy": policy}


def migration(
    *,
    status: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    name: str = "api",
    **changes: Any,
) -> Migration:
    body = {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": "0001",
            "generation": 3,
            "annotations": annotations or {},
        },
        "spec": spec(**changes),
        "status": status or {},
    }
    return Migration(body=body, image=body["spec"].get("image"))


def run(of: Migration, *, phase: str = "apply", attempt: int = 1, ended_ago: float | None = 0.0, **changes: Any) -> Run:
    """A finished run, or with `ended_ago=None` one at work."""
    finished = ended_ago is not None
    fields: dict[str, Any] = {
        "job": f"api-{of.run_key}-{phase}-{attempt}",
        "key": of.run_key,
        "phase": phase,
        "attempt": attempt,
        "finished": finished,
        "started": True,
        "pod": f"pod-{phase}-{attempt}",
        "image": of.image,
        "digest": DIGEST,
        "began": NOW - timedelta(seconds=(ended_ago or 0) + 5),
        "ended": NOW - timedelta(seconds=ended_ago) if ended_ago is not None else None,
        "hopeless": None,
        "trouble": "",
        "report": {},
    }
    return Run(**(fields | changes))


def succeeded(**changes: Any) -> dict[str, Any]:
    return {
        "outcome": "Succeeded",
        "reason": "UpToDate",
        "message": "The database is at b2.",
        "state": "UpToDate",
        "current": ["b2"],
        "target": ["b2"],
        "pending": [],
        "pendingCount": 0,
    } | changes


def failed(reason: str = "StatementFailed", *, transient: bool = False, **changes: Any) -> dict[str, Any]:
    return {"outcome": "Failed", "reason": reason, "message": "It broke.", "transient": transient} | changes


def planned(**changes: Any) -> dict[str, Any]:
    return {
        "outcome": "Planned",
        "reason": "Planned",
        "message": "2 revisions are pending.",
        "state": "Behind",
        "current": ["a1"],
        "target": ["b2"],
        "pendingCount": 2,
        "plan": {"bytes": 10, "sha256": "f" * 64},
    } | changes


def plan_status(of: Run, *severities: str) -> dict[str, Any]:
    findings = [
        {"severity": severity, "rule": "ban-drop-table", "line": 1, "message": f"{severity} thing."}
        for severity in severities
    ]
    return {"job": of.job, "hash": HASH, "configMap": "api-plan", "sha256": "f" * 64, "findings": findings}


def ask(of: Migration, runs: Sequence[Run] = (), *, gone: Sequence[str] = (), outdated: Sequence[str] = ()) -> Decision:
    return decide(of, runs, now=NOW, gone=gone, outdated=outdated)


def truths(decision: Decision) -> dict[str, str]:
    return {c["type"]: c["status"] for c in decision.status["conditions"]}
