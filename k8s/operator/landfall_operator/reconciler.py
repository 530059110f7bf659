"""Brings the cluster to what `decide` says, one Migration at a time."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from landfall_operator import lineage
from landfall_operator.conditions import condition
from landfall_operator.constants import MESSAGE_CHARACTERS
from landfall_operator.decide import Decision, decide, refused
from landfall_operator.gates import Gates
from landfall_operator.jobs import build_job
from landfall_operator.kube import Kube, RefusedError
from landfall_operator.lint import VERSION_TABLE, LintError, lint
from landfall_operator.metrics import Metrics
from landfall_operator.plans import FrameError, approval_hash, build_config_map, frame, plan_status
from landfall_operator.progress import Progress
from landfall_operator.reconciling import Reconciling
from landfall_operator.resource import Key
from landfall_operator.store import Store
from landfall_operator.views import Migration, Run
from landfall_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

MAX_ROUNDS = 10  # decisions in one look: each round's deed may allow the next


class Reconciler(Reconciling):
    """Of Migrations."""

    kind = "Migration"

    def __init__(
        self, store: Store, kube: Kube, queue: WorkQueue, metrics: Metrics, gates: Gates, *, runner_image: str
    ) -> None:
        super().__init__(store, kube, queue, metrics)
        self._gates = gates
        self._runner_image = runner_image
        self._progress = Progress(kube)

    async def reconcile(self, key: Key) -> None:
        for _ in range(MAX_ROUNDS):
            migration = self._store.migration(key)
            if migration is None or migration.deleted_at:
                self.forget(key)
                self._progress.forget(*key)
                self._gates.look_again(key[0])
                return
            runs, look_again = await self._progress.of(migration, self._store.runs(migration))
            if look_again is not None:
                self._queue.add_after(key, look_again)
            decision = decide(
                migration,
                runs,
                now=datetime.now(UTC),
                gone=await self._gone(runs),
                outdated=self._store.outdated.get(self.kind, []),
            )
            self._metrics.see(migration, decision.status)
            if not await self._carry_out(migration, runs, decision):
                return

    async def _carry_out(self, migration: Migration, runs: list[Run], decision: Decision) -> bool:
        """Do one deed and tell the status; True when there may be more to do at once."""
        key = (migration.namespace, migration.name)
        if decision.create:
            new = decision.create
            job = build_job(
                migration,
                phase=new.phase,
                attempt=new.attempt,
                runner_image=self._runner_image,
                plan_sha256=new.plan_sha256,
                take_over_from=new.take_over_from,
            )
            try:
                made = await self._kube.create_job(job)
            except RefusedError as error:
                message = f"The Job is refused: {error}. Correct spec.template, or the namespace's quota or policy."
                decision, made = refused(migration, runs, message, now=datetime.now(UTC)), None
            if made:
                self._store.see("Job", made, deleted=False)
                logger.info("%s/%s: created the Job %s", *key, made["metadata"]["name"])
        for name in decision.delete:
            await self._kube.delete_job(migration.namespace, name)
            self._store.forget("Job", (migration.namespace, name))
            logger.info("%s/%s: deleted the Job %s", *key, name)
        status = decision.status
        if decision.read_plan:
            status = {**status, "plan": await self._read_plan(migration, decision.read_plan)}
        if decision.verdict.kind == "stalled" and condition(migration.status, "Stalled").get("status") != "True":
            await self._gates.mark(migration, decision.verdict.message[:MESSAGE_CHARACTERS])
        await self._tell(migration, runs, decision, status)
        if decision.read_lineage:
            await self._learn(migration, decision.read_lineage)
        self._gates.look_again(migration.namespace)
        if decision.requeue_seconds is not None:
            self._queue.add_after(key, decision.requeue_seconds)
        return decision.read_plan is not None or decision.read_lineage is not None

    async def _tell(self, migration: Migration, runs: list[Run], decision: Decision, status: dict[str, Any]) -> None:
        known = {entry["job"] for entry in migration.status.get("history") or []}
        if not await self.tell(migration, status, decision.verdict):
            return
        told = {entry["job"] for entry in status["history"]}
        for run in runs:
            if run.finished and run.job in told - known:
                self._metrics.finished(migration, run)

    async def _read_plan(self, migration: Migration, run: Run) -> dict[str, Any]:
        log = await self._kube.log(migration.namespace, run.pod or "")
        sha256 = run.report["plan"]["sha256"]
        try:
            sql = frame(log, "PLAN", sha256=sha256)
        except FrameError as error:
            return {
                "job": run.job,
                "sha256": sha256,
                "hash": approval_hash(run),
                "unchecked": f"The plan is lost: {error}.",
            }
        try:
            table = run.report.get("versionTable") or VERSION_TABLE
            findings, unchecked = await asyncio.to_thread(lint, sql, version_table=table), None
        except LintError as error:
            findings, unchecked = [], str(error)
        await self._kube.keep_plan(build_config_map(migration, sql))
        return plan_status(migration, run, sql, findings) | ({"unchecked": unchecked} if unchecked else {})

    async def _learn(self, migration: Migration, run: Run) -> None:
        """Remember which revisions the image carries: a later, older image is then known to be behind them."""
        sha256 = run.report["lineage"]["sha256"]
        current = self._store.migration((migration.namespace, migration.name)) or migration
        try:
            lines = frame(await self._kube.log(migration.namespace, run.pod or ""), "LINEAGE", sha256=sha256).split(
                "\n"
            )
        except FrameError as error:
            logger.warning("%s/%s: the image's revisions are not known: %s", migration.namespace, migration.name, error)
            lines = []
        merged = lineage.merge(lines, current.status.get("lineage") or [])
        written = await self._kube.set_status(current, {**current.status, "lineage": merged, "lineageSha256": sha256})
        if written:
            self._store.see("Migration", written, deleted=False)

    async def _gone(self, runs: list[Run]) -> set[str]:
        """The owners that claims name and that are no more; of a namespace that is not watched nothing is known."""
        claims = [run.report["claim"] for run in runs if run.report.get("claim")]
        watched = [claim for claim in claims if self._store.sees(str(claim.get("namespace")))]
        # The watch may be behind: only the API server's word lets somebody take a database over.
        return {
            str(claim["uid"])
            for claim in watched
            if not self._store.knows(claim) and not await self._kube.exists(claim)
        }
