"""What to do next for one Migration: a pure function of what is there. It runs as often as anything changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from landfall_operator import lineage
from landfall_operator.conditions import Verdict, condition
from landfall_operator.constants import (
    ANNOTATION_APPROVE,
    ANNOTATION_APPROVED_BY,
    FIRST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    MAX_ATTEMPTS,
    MAX_CHANGED_PLANS,
    REFUSED_SECONDS,
)
from landfall_operator.failures import failure, start_advice, why
from landfall_operator.resource import Json, stamp
from landfall_operator.runs import fresh, last_attempt, recall, tries
from landfall_operator.schema import ADVICE
from landfall_operator.status import forgotten, next_status, unread_lineage
from landfall_operator.views import Migration, Run

UNSTABLE = (
    "Each time that the plan was to be applied, the same image and database gave another one: a revision writes a time,"
    " a random value or a set's order into its SQL, or the tag is another image on another node. Make the SQL the same"
    " each time, and pin the image by its digest."
)


@dataclass(frozen=True, kw_only=True)
class NewJob:
    phase: str
    attempt: int
    plan_sha256: str | None = None
    take_over_from: str | None = None  # the uid of an owner that is gone


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The whole next status, and at most one deed."""

    status: dict[str, Any]
    verdict: Verdict
    create: NewJob | None = None
    delete: Sequence[str] = ()
    read_plan: Run | None = None
    read_lineage: Run | None = None
    requeue_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Step:
    verdict: Verdict
    create: NewJob | None = None
    delete: str | None = None
    read_plan: Run | None = None
    requeue_seconds: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def decide(
    migration: Migration,
    runs: Sequence[Run],
    *,
    now: datetime,
    gone: Collection[str] = (),
    outdated: Sequence[str] = (),
) -> Decision:
    """The next status and deed; asking again without a change in the cluster gives the same.

    `gone` are the uids of Migrations that claimed a database and are known to exist no more; `outdated` the fields that
    the served CRD lacks.
    """
    runs = recall(runs, migration.status.get("lastRuns") or [])
    step = _Decider(migration, runs, now, gone, outdated).step()
    status = next_status(migration, runs, step.verdict, step.fields, now=now)
    return Decision(
        status=status,
        verdict=step.verdict,
        create=step.create,
        delete=[step.delete] if step.delete else forgotten(migration, runs, status),
        read_plan=step.read_plan,
        read_lineage=unread_lineage(migration, runs),
        requeue_seconds=step.requeue_seconds,
    )


def refused(migration: Migration, runs: Sequence[Run], message: str, *, now: datetime) -> Decision:
    """Instead of a Job that the API server does not take."""
    verdict = Verdict(kind="stalled", reason="JobRefused", message=message)
    runs = recall(runs, migration.status.get("lastRuns") or [])
    status = next_status(migration, runs, verdict, {}, now=now)
    return Decision(status=status, verdict=verdict, requeue_seconds=REFUSED_SECONDS)


class _Decider:
    def __init__(
        self,
        migration: Migration,
        runs: Sequence[Run],
        now: datetime,
        gone: Collection[str],
        outdated: Sequence[str],
    ) -> None:
        self._migration = migration
        self._runs = runs
        self._fresh = fresh(runs, migration.run_key)
        self._now = now
        self._gone = gone
        self._outdated = outdated

    def step(self) -> _Step:
        return self._blocked() or self._work()

    def _work(self) -> _Step:
        return self._planned() if self._migration.two_phases else self._apply(None)

    def _blocked(self) -> _Step | None:
        """What keeps anything from being started now."""
        migration = self._migration
        active = [run for run in self._runs if not run.finished]
        if active:
            return self._while_active(active[0])
        if self._outdated:
            message = f"The served CRD lacks {', '.join(self._outdated[:5])}. {ADVICE}"
            return self._still_ready() or _Step(
                verdict=Verdict(kind="stalled", reason="CustomResourceDefinitionOutdated", message=message)
            )
        if migration.image is None:
            name = migration.spec["from"]["deploymentRef"]["name"]
            return _waiting(
                "DeploymentMissing", f"There is no Deployment {name} with the container to take the image from."
            )
        if migration.spec["suspend"]:
            message = "spec.suspend is true: nothing is started until it is false."
            return self._still_ready() or _Step(verdict=Verdict(kind="idle", reason="Suspended", message=message))
        return None

    def _still_ready(self) -> _Step | None:
        """The verdict that this same work had, where it was ready: what stops work has none to stop then."""
        ready = condition(self._migration.status, "Ready")
        if not self._fresh or ready.get("status") != "True":
            return None
        return _Step(verdict=Verdict(kind="ready", reason=ready["reason"], message=ready["message"]))

    def _while_active(self, run: Run) -> _Step:
        """A running Job is never deleted; one whose container cannot ever start gives way to a newer spec."""
        outdated = run.key != self._migration.run_key
        if run.hopeless and not run.started:
            if outdated:
                return _Step(verdict=_progress("Replacing", f"The Job {run.job} could not start."), delete=run.job)
            message = f"{run.trouble.rstrip('.')}. {start_advice(run)}"
            return _Step(verdict=Verdict(kind="stalled", reason=run.hopeless, message=message))
        what = "An older spec's Job" if outdated else "The Job"
        doing = f": {run.progress}" if run.progress else " is running" if run.started else " is starting"
        return _Step(verdict=_progress("Running", f"{what} {run.job}{doing}."))

    def _planned(self) -> _Step:
        plan_run, applied = self._latest("plan"), self._latest("apply")
        if applied and applied.report.get("outcome") == "Succeeded":
            return self._ready(applied)  # whatever has become of the approval since
        if plan_run is None:
            return self._start("plan")
        return self._judged(plan_run) or self._kept(plan_run, applied)

    def _judged(self, plan_run: Run) -> _Step | None:
        """What a plan's run says by itself; None where there is a plan to go on with."""
        reason = plan_run.report.get("reason")
        if plan_run.report.get("outcome") != "Planned" or reason == "NothingToDo":
            return self._ready(plan_run) if reason == "NothingToDo" else self._failed(plan_run)
        if reason == "NotPlannable":
            advice = "Make the revisions work with `alembic upgrade --sql`, or use mode Auto with destructive Allow."
            return _stalled("NotPlannable", f"{plan_run.report.get('message')} {advice}", plan_run)
        return None

    def _kept(self, plan_run: Run, applied: Run | None) -> _Step:
        plan = self._migration.status.get("plan") or {}
        if plan.get("job") != plan_run.job:
            return _Step(verdict=_progress("Planning", "Reading the plan."), read_plan=plan_run)
        if applied and applied.report.get("reason") == "PlanChanged" and _after(applied, plan_run):
            if tries(self._runs, applied) >= MAX_CHANGED_PLANS:
                return _stalled("PlanUnstable", UNSTABLE, applied)
            return self._start("plan")
        return self._after_plan(plan, plan_run)

    def _after_plan(self, plan: Json, plan_run: Run) -> _Step:
        migration = self._migration
        destructive = [f for f in plan.get("findings") or [] if f["severity"] == "Destructive"]
        rule = migration.policy["destructive"]
        count = plan_run.report.get("pendingCount")
        words = "1 revision is pending" if count == 1 else f"{count} revisions are pending"
        where = (
            f"kubectl get configmap {plan.get('configMap')} -n {migration.namespace} -o jsonpath='{{.data.plan\\.sql}}'"
        )
        if plan.get("unchecked") and (rule != "Allow" or migration.spec["mode"] != "Auto"):
            advice = (
                f"Nothing was applied. Plan again: kubectl landfall retry {migration.name} -n {migration.namespace}"
            )
            return _stalled("PlanUnchecked", f"{plan['unchecked']} {advice}", plan_run)
        if destructive and rule == "Deny":
            listed = "; ".join(f["message"] for f in destructive[:3])
            return _stalled(
                "DestructiveDenied",
                f"{words}, and policy.destructive is Deny: {listed}. Read the plan: {where}",
                plan_run,
            )
        if migration.spec["mode"] == "Plan":
            return _Step(
                verdict=Verdict(
                    kind="idle", reason="Planned", message=f"{words}; mode Plan applies none. Read the plan: {where}"
                )
            )
        must_ask = migration.spec["mode"] == "Approve" or (destructive and rule == "Approve")
        fields: dict[str, Any] = {}
        if must_ask:
            if migration.annotations.get(ANNOTATION_APPROVE) != plan["hash"]:
                command = f"kubectl landfall approve {migration.name} -n {migration.namespace}"
                verb = "waits" if count == 1 else "wait"
                return _waiting("ApprovalNeeded", f"{words} and {verb} for an approval of this plan: {command}")
            fields = self._approval(plan)
        step = self._apply(plan_run.report["plan"]["sha256"])
        return _Step(**{**vars(step), "fields": {**step.fields, **fields}})

    def _approval(self, plan: Json) -> dict[str, Any]:
        if plan.get("approvedAt"):
            return {}
        by = self._migration.annotations.get(ANNOTATION_APPROVED_BY, "unknown")
        return {"plan": {**plan, "approvedBy": by, "approvedAt": stamp(self._now)}}

    def _apply(self, plan_sha256: str | None) -> _Step:
        run = self._latest("apply")
        if run is None:
            return self._start("apply", plan_sha256)
        if run.report.get("outcome") == "Succeeded":
            return self._ready(run)
        if run.report.get("reason") == "PlanChanged":
            # Planned anew, and approved again where that is asked: this is the next attempt.
            return self._start("apply", plan_sha256)
        return self._failed(run, plan_sha256)

    def _failed(self, run: Run, plan_sha256: str | None = None) -> _Step:
        report = run.report
        reason, message, transient = why(run)
        if reason == "RevisionUnknown":
            return self._unknown_revision(run)
        owner = (report.get("claim") or {}).get("uid")
        if reason == "Conflict" and owner in self._gone:
            return self._start(run.phase, plan_sha256, take_over_from=owner)
        attempt = tries(self._runs, run)
        if not transient or attempt >= MAX_ATTEMPTS:
            return _stalled(reason, message, run)
        pause = min(FIRST_RETRY_SECONDS * 2 ** (attempt - 1), LONGEST_RETRY_SECONDS)
        due = (run.ended or self._now) + timedelta(seconds=pause)
        if self._now >= due:
            return self._start(run.phase, plan_sha256)
        wait = (due - self._now).total_seconds()
        verdict = _progress("Retrying", f"Attempt {attempt} ended: {message} Next attempt at {stamp(due)}.")
        return _Step(verdict=verdict, requeue_seconds=wait, fields={"nextRetryAt": stamp(due), "failure": failure(run)})

    def _unknown_revision(self, run: Run) -> _Step:
        """Ahead of the image, diverged from it, or never seen: told by what earlier images carried."""
        current = run.report.get("current") or []
        heads = run.report.get("heads") or []
        lines = self._migration.status.get("lineage") or []
        relations = [lineage.descends(lines, revision, heads) for revision in current]
        at = ", ".join(current)
        if None in relations:
            message = (
                f"The database is at {at}, which no image seen here carries. "
                "Deploy the image that has it, or stamp the database with a revision that this image knows."
            )
            return _stalled("RevisionUnknown", message, run, state="Unknown")
        if not all(relations):
            message = (
                f"The database is at {at}, which does not descend from this image's {', '.join(heads)}: two lines of "
                "revisions were applied from different branches. Merge them in one image."
            )
            return _stalled("Diverged", message, run, state="Diverged")
        message = f"The database is at {at}, newer than this image's {', '.join(heads)}"
        if self._migration.policy["onAhead"] == "Block":
            return _stalled("Ahead", f"{message}, and policy.onAhead is Block.", run, state="Ahead")
        verdict = Verdict(kind="ready", reason="Ahead", message=f"{message}: as after a rollback.")
        return _Step(verdict=verdict, fields={"state": "Ahead"})

    def _ready(self, run: Run) -> _Step:
        message = str(run.report.get("message"))
        if others := self._other_digests(run):
            message += f" Note: the tag {run.image} was another image before ({others[0][:19]}…); pin a digest."
        state = "Ahead" if run.report.get("state") == "Ahead" else "UpToDate"
        if state == "Ahead" and self._migration.policy["onAhead"] == "Block":
            return _stalled(state, f"{message} policy.onAhead is Block.", run, state=state)
        return _Step(verdict=Verdict(kind="ready", reason=state, message=message), fields={"state": state})

    def _other_digests(self, run: Run) -> list[str]:
        seen = self._migration.status.get("history") or []
        image = self._migration.image
        return [
            entry["imageDigest"]
            for entry in seen
            if entry.get("image") == image and entry.get("imageDigest") not in {None, run.digest} and run.digest
        ]

    def _latest(self, phase: str) -> Run | None:
        return max((run for run in self._fresh if run.phase == phase), key=lambda run: run.attempt, default=None)

    def _told_attempt(self, key: str, phase: str) -> int:
        """The last one in the history, whose Job somebody may have deleted: its name is not used again."""
        part = f"-{key}-{phase}-"
        jobs = [entry["job"] for entry in self._migration.status.get("history") or [] if part in entry["job"]]
        return max((int(job.rpartition("-")[2]) for job in jobs), default=0)

    def _start(self, phase: str, plan_sha256: str | None = None, *, take_over_from: str | None = None) -> _Step:
        words = "Planning" if phase == "plan" else "Applying"
        key = self._migration.run_key
        attempt = max(last_attempt(self._runs, key, phase), self._told_attempt(key, phase)) + 1
        new = NewJob(phase=phase, attempt=attempt, plan_sha256=plan_sha256, take_over_from=take_over_from)
        return _Step(verdict=_progress(words, f"{words}, attempt {attempt}."), create=new)


def _progress(reason: str, message: str) -> Verdict:
    return Verdict(kind="reconciling", reason=reason, message=message)


def _waiting(reason: str, message: str) -> _Step:
    return _Step(verdict=_progress(reason, message))


def _stalled(reason: str, message: str, run: Run, *, state: str | None = None) -> _Step:
    fields: dict[str, Any] = {"failure": failure(run)}
    if state:
        fields["state"] = state
    return _Step(verdict=Verdict(kind="stalled", reason=reason, message=message), fields=fields)


def _after(one: Run, other: Run) -> bool:
    return one.ended is not None and other.ended is not None and one.ended >= other.ended
