"""The next status: the old one with what the latest reports say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from landfall_operator.conditions import Verdict, conditions
from landfall_operator.constants import HISTORY_LENGTH
from landfall_operator.failures import why
from landfall_operator.views import Json, Migration, Run, stamp

# What outlives the runs that told it.
KEPT = (
    "state",
    "currentRevision",
    "targetRevision",
    "pendingCount",
    "pending",
    "plan",
    "lineage",
    "lineageSha256",
    "settledRun",
)


def next_status(
    migration: Migration, runs: Sequence[Run], verdict: Verdict, fields: Json, *, now: datetime
) -> dict[str, Any]:
    """The old status with what the latest report and this step say."""
    old = dict(migration.status)
    status: dict[str, Any] = {name: old[name] for name in KEPT if name in old}
    status["observedGeneration"] = migration.generation
    finished = sorted((r for r in runs if r.finished), key=lambda r: (r.ended or now, r.attempt))
    mine = [run for run in finished if run.key == migration.run_key]
    if mine:
        status |= _seen(mine[-1].report)
    status["attempts"] = max((r.attempt for r in runs if r.key == migration.run_key), default=0)
    if migration.image:
        status["image"] = migration.image
    last = mine[-1] if mine else None
    status["imageDigest"] = (last.digest if last else None) or old.get("imageDigest")
    active = next((run for run in runs if not run.finished), None)
    shown = active or last
    if shown:
        status["runner"] = {"job": shown.job, "phase": shown.phase}
    status["history"] = _history(old.get("history") or [], finished)
    plan = status.get("plan")
    if plan and not any(run.job == plan.get("job") and run.key == migration.run_key for run in runs):
        del status["plan"]  # another image, target or policy: the plan and its approval are void
    if verdict.kind == "ready":
        status["settledRun"] = migration.run_key
    status |= fields
    status["conditions"] = conditions(
        verdict, previous=old.get("conditions") or [], generation=migration.generation, now=now
    )
    return {name: value for name, value in status.items() if value is not None}


def _seen(report: Json) -> dict[str, Any]:
    """What a report says of the database."""
    fields: dict[str, Any] = {}
    if "current" in report:
        fields["currentRevision"] = ",".join(report["current"])
    if "target" in report:
        fields["targetRevision"] = ",".join(report["target"])
    if report.get("state") in {"Unversioned", "Behind", "UpToDate", "MultipleHeads"}:
        fields["state"] = report["state"]
    for name in ("pending", "pendingCount"):
        if name in report:
            fields[name] = report[name]
    return fields


def _history(old: Sequence[Json], finished: Sequence[Run]) -> list[Json]:
    known = {entry["job"] for entry in old}
    new = [_entry(run) for run in finished if run.job not in known]
    return [*reversed(new), *old][:HISTORY_LENGTH]


def _entry(run: Run) -> dict[str, Any]:
    reason, message, _ = why(run) if run.report.get("outcome") not in {"Succeeded", "Planned"} else ("", "", False)
    outcome = "UpToDate" if run.report.get("reason") == "NothingToDo" else run.report.get("outcome")
    entry = {
        "job": run.job,
        "phase": run.phase,
        "image": run.image,
        "imageDigest": run.digest,
        "fromRevision": ",".join(run.report.get("from") or []) or None,
        "toRevision": ",".join(run.report.get("current") or []) or None,
        "planSha256": (run.report.get("plan") or {}).get("sha256"),
        "startedAt": stamp(run.began) if run.began else None,
        "durationSeconds": run.seconds,
        "attempts": run.attempt,
        "outcome": outcome or reason,
        "message": (message or str(run.report.get("message", "")))[:200],
    }
    return {name: value for name, value in entry.items() if value is not None}


def forgotten(migration: Migration, runs: Sequence[Run], status: Json) -> list[str]:
    """Finished Jobs of earlier work that have left the history; the others keep their logs."""
    kept = {entry["job"] for entry in status["history"]}
    return [run.job for run in runs if run.finished and run.key != migration.run_key and run.job not in kept]


def unread_lineage(migration: Migration, runs: Sequence[Run]) -> Run | None:
    """The latest run whose image's revisions are not in the status yet."""
    told = [run for run in runs if run.finished and run.pod and (run.report.get("lineage") or {}).get("sha256")]
    latest = max(told, key=lambda run: run.ended.timestamp() if run.ended else 0.0, default=None)
    if latest and latest.report["lineage"]["sha256"] != migration.status.get("lineageSha256"):
        return latest
    return None
