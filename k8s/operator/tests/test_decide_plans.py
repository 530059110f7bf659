"""What the operator does next where a plan comes first: where somebody or something may say no."""

from __future__ import annotations

from typing import Any

import pytest
from builders import HASH, ask, failed, migration, plan_status, planned, run, succeeded, truths

from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_APPROVED_BY


class TestPlans:
    """Two phases: where somebody or something may say no."""

    def test_plan_mode_never_applies(self) -> None:
        api = migration(mode="Plan")
        assert ask(api).create is not None
        done = run(api, phase="plan", report=planned())
        assert ask(api, [done]).read_plan is done
        told = migration(mode="Plan", status={"plan": plan_status(done)})
        decision = ask(told, [done])
        assert decision.create is None
        assert truths(decision) == {"Ready": "False", "Reconciling": "False", "Stalled": "False"}

    def test_approve_waits_for_this_plan_and_records_who(self) -> None:
        api = migration(mode="Approve")
        done = run(api, phase="plan", report=planned())
        status = {"plan": plan_status(done)}
        assert ask(migration(mode="Approve", status=status), [done]).verdict.reason == "ApprovalNeeded"
        wrong = migration(mode="Approve", status=status, annotations={ANNOTATION_APPROVE: "0" * 64})
        assert ask(wrong, [done]).create is None
        right = {ANNOTATION_APPROVE: HASH, ANNOTATION_APPROVED_BY: "ada"}
        decision = ask(migration(mode="Approve", status=status, annotations=right), [done])
        assert decision.create is not None
        assert decision.create.plan_sha256 == "f" * 64
        assert decision.status["plan"]["approvedBy"] == "ada"
        assert decision.status["plan"]["approvedAt"]

    def test_a_new_image_voids_the_approval(self) -> None:
        old = migration(mode="Approve")
        done = run(old, phase="plan", report=planned())
        new = migration(
            mode="Approve",
            image="registry.example/api:2",
            status={"plan": plan_status(done)},
            annotations={ANNOTATION_APPROVE: HASH},
        )
        decision = ask(new, [done])
        assert decision.create is not None
        assert decision.create.phase == "plan"
        assert "plan" not in decision.status

    @pytest.mark.parametrize(
        ("rule", "severities", "reason"),
        [
            ("Deny", ["Destructive"], "DestructiveDenied"),
            ("Deny", ["Blocking", "Style"], "Applying"),
            ("Approve", ["Destructive"], "ApprovalNeeded"),
            ("Approve", ["Blocking"], "Applying"),
        ],
    )
    def test_destructive_statements(self, rule: str, severities: list[str], reason: str) -> None:
        policy = {"destructive": rule}
        done = run(migration(policy=policy), phase="plan", report=planned())
        api = migration(policy=policy, status={"plan": plan_status(done, *severities)})
        assert ask(api, [done]).verdict.reason == reason

    def test_a_plan_that_the_database_outran_is_made_anew(self) -> None:
        api = migration(mode="Approve")
        plan = run(api, phase="plan", ended_ago=60, report=planned())
        told = migration(mode="Approve", status={"plan": plan_status(plan)}, annotations={ANNOTATION_APPROVE: HASH})
        apply = run(told, ended_ago=10, report=failed("PlanChanged", outcome="Refused"))
        decision = ask(told, [plan, apply])
        assert decision.create is not None
        assert (decision.create.phase, decision.create.attempt) == ("plan", 2)

    def test_not_plannable_is_said(self) -> None:
        api = migration(mode="Plan")
        report = {"outcome": "Planned", "reason": "NotPlannable", "message": "No SQL."}
        assert "--sql" in ask(api, [run(api, phase="plan", report=report)]).verdict.message


@pytest.mark.parametrize(("destructive", "mode"), [("Deny", "Auto"), ("Approve", "Auto"), ("Allow", "Approve")])
def test_a_plan_that_could_not_be_checked_is_never_applied(destructive: str, mode: str) -> None:
    rules: dict[str, Any] = {"mode": mode, "policy": {"destructive": destructive}}
    plan = run(migration(**rules), phase="plan", report=planned())
    status = {"plan": plan_status(plan) | {"unchecked": "The plan could not be linted."}}
    decision = ask(migration(status=status, annotations={ANNOTATION_APPROVE: HASH}, **rules), [plan])
    assert decision.create is None
    assert decision.verdict.reason == "PlanUnchecked"


def test_a_plan_that_waits_for_an_approval_still_waits_when_its_job_is_cleaned_away() -> None:
    plan = run(migration(mode="Approve"), phase="plan", report=planned())
    told = ask(migration(mode="Approve", status={"plan": plan_status(plan)}), [plan]).status
    assert ask(migration(mode="Approve", status=told)).verdict.reason == "ApprovalNeeded"
    approved = migration(mode="Approve", status=told, annotations={ANNOTATION_APPROVE: HASH})
    decision = ask(approved)
    assert decision.create is not None
    assert (decision.create.phase, decision.create.plan_sha256) == ("apply", "f" * 64)


def test_a_plan_that_is_another_each_time_stalls() -> None:
    rules: dict[str, Any] = {"policy": {"destructive": "Deny"}}
    api = migration(**rules)
    runs = []
    for number in range(1, 4):
        ago = 1000.0 - 100 * number
        runs += [
            run(api, phase="plan", attempt=number, report=planned(), ended_ago=ago),
            run(api, attempt=number, report=failed("PlanChanged", outcome="Refused"), ended_ago=ago - 50),
        ]
    decision = ask(migration(status={"plan": plan_status(runs[-2])}, **rules), runs)
    assert (decision.create, decision.verdict.reason) == (None, "PlanUnstable")


def test_what_was_applied_stays_so_when_its_approval_is_taken_away() -> None:
    api = migration(mode="Approve")
    plan = run(api, phase="plan", report=planned(), ended_ago=60)
    done = run(api, report=succeeded())
    decision = ask(migration(mode="Approve", status={"plan": plan_status(plan)}), [plan, done])
    assert (decision.verdict.kind, decision.verdict.reason) == ("ready", "UpToDate")
