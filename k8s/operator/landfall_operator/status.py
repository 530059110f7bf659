"""The next status: the old one with what the latest reports say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from landfall_operator.conditions import Verdict, conditions
from landfall_operator.constants import HISTORY_LENGTH
from landfall_operator.failures import why
from landfall_operator.resource import Json, stamp
from landfall_operator.runs import fresh, record, tries
from landfall_operator.views import Migration, Run

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
)

OF_THE_WORK = {"state", "targetRevision", "pendingCount", "pending"}


def next_status(
    migration: Migration, runs: Sequence[Run], verdict: Verdict, fields: Json, *, now: datetime
) -> dict[str, Any]:
    """The old status with what the latest report and this step say."""
    old = dict(migration.status)
    status: dict[str, Any] = {name: old[name] for name in KEPT if name in old}
    status["observedGeneration"] = migration.generation
    finished = sorted((r for r in runs if r.finished), key=lambda r: (r.ended or now, r.attempt))
    current = fresh(runs, migration.run_key)
    mine = [run for run in finished if run in current]
    if finished and "current" in finished[-1].report:
        status["currentRevision"] = ",".join(finished[-1].report["current"])
    if mine:
        # What an earlier image's run said of its target is not true of this one's.
        status = {name: value for name, value in status.items() if name not in OF_THE_WORK}
        for run in mine:
            status |= _seen(run.report)
        if "pending" not in status and status.get("pendingCount"):
            status["pending"] = old.get("pending")
    latest = max(current, key=lambda run: (run.began or now, run.attempt), default=None)
    status["attempts"] = tries(runs, latest) if latest else 0
    status["lastRuns"] = record(runs)
    if migration.image:
        status["image"] = migration.image
    last = mine[-1] if mine else None
    status["imageDigest"] = (last.digest if last else None) or old.get("imageDigest")
    active = next((run for run in runs if not run.finished), None)
    shown = active or last
    if shown:
        status["runner"] = {"job": shown.job, "phase": shown.phase}
    status["history"] = _history(old, finished)
    plan = status.get("plan")
    if plan and not any(run.job == plan.get("job") for run in current):
        del status["plan"]  # another image, target or policy: the plan and its approval are void
    status.setdefault("state", "Unknown")
    status |= fields
    status["conditions"] = conditions(
        verdict, previous=old.get("conditions") or [], generation=migration.generation, now=now
    )
    return {name: value for name, value in status.items() if value is not None}


def _seen(report: Json) -> dict[str, Any]:
    """What a report of the present work says of the database."""
    fields: dict[str, Any] = {}
    if "target" in report:
        fields["targetRevision"] = ",".join(report["target"])
    if report.get("state") in {"Unversioned", "Behind", "UpToDate", "Ahead", "MultipleHeads"}:
        fields["state"] = report["state"]
    for name in ("pending", "pendingCount"):
        if name in report:
            fields[name] = report[name]
    return fields


def _history(old: Json, finished: Sequence[Run]) -> list[Json]:
    told = old.get("history") or []
    known = {entry["job"] for entry in told}
    # By age, since a run that has left the history may still be seen.
    entries = [*reversed([_entry(run) for run in finished if run.job not in known]), *told]
    return sorted(entries, key=lambda entry: entry.get("startedAt", ""), reverse=True)[:HISTORY_LENGTH]


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
        "planSha256": run.report.get("planSha256") or (run.report.get("plan") or {}).get("sha256"),
        "startedAt": stamp(run.began) if run.began else None,
        "durationSeconds": run.seconds,
        "attempts": run.attempt,
        "outcome": outcome or reason,
        "message": (message or str(run.report.get("message", "")))[:200],
    }
    return {name: value for name, value in entry.items() if value is not None}


def forgotten(migration: Migration, runs: Sequence[Run], status: Json) -> list[str]:
    """Finished Jobs of earlier work that have left the history; the others keep their logs."""
    kept = {entry["job"] for entry in status["history"]} | {kept["job"] for kept in status["lastRuns"]}
    return [run.job for run in runs if run.finished and run.key != migration.run_key and run.job not in kept]


def unread_lineage(migration: Migration, runs: Sequence[Run]) -> Run | None:
    """The latest run whose image's revisions are not in the status yet."""
    told = [run for run in runs if run.finished and run.pod and (run.report.get("lineage") or {}).get("sha256")]
    latest = max(told, key=lambda run: run.ended.timestamp() if run.ended else 0.0, default=None)
    if latest and latest.report["lineage"]["sha256"] != migration.status.get("lineageSha256"):
        return latest
    return None
