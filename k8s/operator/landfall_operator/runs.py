"""Which runs count: those seen now, and those that the status remembers when Pods and Jobs were cleaned away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from landfall_operator.resource import Json, moment, stamp
from landfall_operator.views import Run

NOT_REMEMBERED = {"pending", "lineage"}  # the status has them elsewhere
EARLIEST = datetime.min.replace(tzinfo=UTC)


def recall(seen: Iterable[Run], records: Iterable[Json]) -> list[Run]:
    """What is seen, with the reports of Pods that have gone, and the runs whose Jobs have gone too."""
    runs = {run.job: run for run in seen}
    for record in records:
        known = runs.get(record["job"])
        if known is None or not known.report:
            remembered = _run(record)
            runs[record["job"]] = replace(remembered, pod=known.pod) if known else remembered
    return list(runs.values())


def record(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """The last finished run of each phase, as the status keeps it."""
    latest: dict[str, Run] = {}
    for run in sorted((run for run in runs if run.finished), key=_age):
        latest[run.phase] = run
    return [_record(run) for _, run in sorted(latest.items())]


def fresh(runs: Iterable[Run], key: str) -> list[Run]:
    """The runs of this work since other work was done: what an image did before another one's turn says nothing now."""
    runs = list(runs)
    others = [run.began for run in runs if run.key != key and run.finished and run.began]
    since = max(others, default=EARLIEST)
    return [run for run in runs if run.key == key and (run.began is None or run.began >= since)]


def tries(runs: Sequence[Run], run: Run) -> int:
    """Which try of the present work a run is; attempts go on counting over work that was interrupted by other work."""
    current = fresh(runs, run.key)
    return run.attempt - last_attempt([other for other in runs if other not in current], run.key, run.phase)


def last_attempt(runs: Sequence[Run], key: str, phase: str) -> int:
    return max((run.attempt for run in runs if (run.key, run.phase) == (key, phase)), default=0)


def _age(run: Run) -> tuple[datetime, int]:
    return (run.began or EARLIEST, run.attempt)


def _record(run: Run) -> dict[str, Any]:
    return {
        "job": run.job,
        "key": run.key,
        "phase": run.phase,
        "attempt": run.attempt,
        "image": run.image,
        "digest": run.digest,
        "began": stamp(run.began) if run.began else None,
        "ended": stamp(run.ended) if run.ended else None,
        "trouble": run.trouble,
        "disrupted": run.disrupted,
        "overdue": run.overdue,
        "report": {name: value for name, value in run.report.items() if name not in NOT_REMEMBERED},
    }


def _run(record: Json) -> Run:
    return Run(
        job=record["job"],
        key=record["key"],
        phase=record["phase"],
        attempt=record["attempt"],
        finished=True,
        started=True,
        pod=None,
        image=record.get("image"),
        digest=record.get("digest"),
        began=moment(record.get("began")),
        ended=moment(record.get("ended")),
        hopeless=None,
        trouble=record.get("trouble", ""),
        disrupted=record.get("disrupted", False),
        overdue=record.get("overdue", False),
        report=record.get("report") or {},
    )
