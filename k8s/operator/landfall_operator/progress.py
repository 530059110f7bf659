"""What only asking tells of a Job at work: the last `landfall-progress:` line of its log, or why it has no Pod."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from landfall_operator.kube import Kube
from landfall_operator.views import Migration, Run

logger = logging.getLogger(__name__)

PODLESS_SECONDS = 10.0  # a Job controller under load needs some; one that may not make a Pod never gets further
FIRST_LOOK_SECONDS = 3.0  # most runs are over by then, and cost no request
NEXT_LOOK_SECONDS = 10.0
TAIL_LINES = 200  # an application may log between two lines of ours
MARK = "landfall-progress: "


class Progress:
    """Remembers what was read, so that an event costs no request."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._read: dict[tuple[str, str], tuple[str, datetime, str]] = {}

    async def of(self, migration: Migration, runs: list[Run]) -> tuple[list[Run], float | None]:
        """The runs with what the one at work does, and the seconds until it is worth another look."""
        key = (migration.namespace, migration.name)
        podless = next((run for run in runs if run.podless and not run.finished), None)
        if podless:
            return await self._podless(migration, runs, podless)
        active = next((run for run in runs if not run.finished and run.started), None)
        if active is None or active.pod is None or active.began is None:
            self.forget(*key)
            return runs, None
        now = datetime.now(UTC)
        pod, at, text = self._read.get(key, ("", None, ""))
        if pod != active.pod:
            at, text = None, ""
        pause = NEXT_LOOK_SECONDS if at else FIRST_LOOK_SECONDS
        left = pause - (now - (at or active.began)).total_seconds()
        if left <= 0:
            text = await self._last(migration.namespace, active.pod) or text
            self._read[key] = (active.pod, now, text)
            left = NEXT_LOOK_SECONDS
        return [replace(run, progress=text) if run is active else run for run in runs], left

    async def _podless(self, migration: Migration, runs: list[Run], run: Run) -> tuple[list[Run], float | None]:
        now = datetime.now(UTC)
        left = PODLESS_SECONDS - (now - (run.began or now)).total_seconds()
        if left > 0:
            return runs, left
        trouble = await self._kube.why_no_pod(migration.namespace, run.job)
        if trouble is None:
            return runs, NEXT_LOOK_SECONDS
        stuck = replace(run, hopeless="PodNotCreated", trouble=f"The Job {run.job} gets no pod: {trouble}")
        return [stuck if other is run else other for other in runs], None

    def forget(self, namespace: str, name: str) -> None:
        self._read.pop((namespace, name), None)

    async def _last(self, namespace: str, pod: str) -> str:
        try:
            log = await self._kube.log(namespace, pod, tail=TAIL_LINES)
        except Exception as error:  # noqa: BLE001 - a kubelet that is away must not hold up the rest
            logger.warning("%s: the log of %s could not be read: %s", namespace, pod, error)
            return ""
        lines = log.decode("utf-8", "replace").splitlines()
        return next((line[len(MARK) :] for line in reversed(lines) if line.startswith(MARK)), "")
