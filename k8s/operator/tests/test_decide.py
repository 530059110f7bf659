"""What the operator does next, in each situation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders import HASH, NOW, failed, migration, plan_status, planned, run, succeeded

from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_APPROVED_BY, MAX_ATTEMPTS
from landfall_operator.decide import Decision, decide, refused
from landfall_operator.views import Migration, Run


def ask(of: Migration, runs: Sequence[Run] = (), *, gone: Sequence[str] = (), outdated: Sequence[str] = ()) -> Decision:
    return decide(of, runs, now=NOW, gone=gone, outdated=outdated)


def truths(decision: Decision) -> dict[str, str]:
    return {c["type"]: c["status"] for c in decision.status["conditions"]}


def test_a_new_migration_is_applied_by_one_job() -> None:
    decision = ask(migration())
    assert decision.create is not None
    assert (decision.create.phase, decision.create.attempt) == ("apply", 1)
    assert truths(decision) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}


def test_success_makes_it_ready_for_its_generation() -> None:
    api = migration()
    decision = ask(api, [run(api, report=succeeded())])
    assert decision.create is None
    assert truths(decision) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
    assert decision.status["observedGeneration"] == 3
    assert decision.status["state"] == "UpToDate"
    assert decision.status["currentRevision"] == "b2"


def test_asking_again_changes_nothing() -> None:
    api = migration()
    runs = [run(api, report=succeeded())]
    first = ask(api, runs).status
    assert ask(migration(status=first), runs).status == first


def test_what_is_done_stays_done_when_its_job_is_cleaned_away() -> None:
    api = migration()
    status = ask(api, [run(api, report=succeeded())]).status
    decision = ask(migration(status=status))
    assert decision.create is None
    assert truths(decision)["Ready"] == "True"


def test_a_running_job_of_an_older_spec_is_waited_for() -> None:
    older, newer = migration(), migration(image="registry.example/api:2")
    decision = ask(newer, [run(older, ended_ago=None)])
    assert decision.create is None
    assert not decision.delete
    assert truths(decision)["Reconciling"] == "True"


def test_the_newer_spec_runs_when_the_older_job_has_ended() -> None:
    older, newer = migration(), migration(image="registry.example/api:2")
    decision = ask(newer, [run(older, report=succeeded())])
    assert decision.create is not None
    assert decision.create.attempt == 1


def test_a_job_that_cannot_start_stalls_and_gives_way_to_a_newer_spec() -> None:
    older, newer = migration(), migration(image="registry.example/api:2")
    stuck = run(older, ended_ago=None, started=False, hopeless="ImagePullFailed", trouble="ErrImagePull: no such image")
    assert ask(older, [stuck]).verdict.reason == "ImagePullFailed"
    assert "spec.template.imagePullSecrets" in ask(older, [stuck]).verdict.message
    assert ask(newer, [stuck]).delete == [stuck.job]


def test_a_permanent_error_stalls_after_one_attempt() -> None:
    api = migration()
    report = failed(revision="b2", sqlstate="42703", statement="ALTER TABLE t DROP COLUMN x")
    decision = ask(api, [run(api, report=report)])
    assert decision.create is None
    assert truths(decision) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert decision.status["failure"] == {
        "revision": "b2",
        "sqlstate": "42703",
        "statement": "ALTER TABLE t DROP COLUMN x",
    }
    assert "Revision b2" in decision.verdict.message


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 10), (3, 20), (10, 120)])
def test_a_passing_error_is_tried_again_after_a_growing_pause(attempt: int, seconds: float) -> None:
    api = migration()
    early = ask(api, [run(api, attempt=attempt, ended_ago=seconds - 1, report=failed(transient=True))])
    assert early.create is None
    assert early.requeue_seconds == pytest.approx(1)
    due = ask(api, [run(api, attempt=attempt, ended_ago=seconds, report=failed(transient=True))])
    assert due.create is not None
    assert due.create.attempt == attempt + 1


def test_a_passing_error_stalls_after_the_last_attempt() -> None:
    api = migration()
    decision = ask(api, [run(api, attempt=MAX_ATTEMPTS, ended_ago=9999, report=failed(transient=True))])
    assert truths(decision)["Stalled"] == "True"


def test_a_lost_pod_is_tried_again() -> None:
    api = migration()
    decision = ask(api, [run(api, pod=None, ended_ago=60, trouble="BackoffLimitExceeded: …")])
    assert decision.create is not None


def test_suspended_starts_nothing() -> None:
    decision = ask(migration(suspend=True))
    assert decision.create is None
    assert decision.verdict.reason == "Suspended"


def test_retry_is_new_work() -> None:
    stalled = migration()
    again = migration(annotations={"landfall.dev/retry": "now"})
    decision = ask(again, [run(stalled, report=failed())])
    assert decision.create is not None


def test_a_conflict_names_the_owner_and_ends_with_it() -> None:
    api = migration()
    report = failed("Conflict", outcome="Refused", claim={"namespace": "a", "name": "b", "uid": "c"})
    assert truths(ask(api, [run(api, report=report)]))["Stalled"] == "True"
    freed = ask(api, [run(api, report=report)], gone=["c"])
    assert freed.create is not None
    assert freed.create.take_over_from == "c"


def test_suspending_what_is_ready_leaves_it_ready() -> None:
    api = migration()
    status = ask(api, [run(api, report=succeeded())]).status
    decision = ask(migration(status=status, suspend=True), [run(api, report=succeeded())])
    assert truths(decision)["Ready"] == "True"


def test_an_outdated_crd_stops_new_work_but_not_what_is_ready() -> None:
    api, lacking = migration(), ["spec.gates"]
    decision = ask(api, outdated=lacking)
    assert decision.create is None
    assert (decision.verdict.kind, "spec.gates" in decision.verdict.message) == ("stalled", True)
    ready = ask(api, [run(api, report=succeeded())]).status
    assert truths(ask(migration(status=ready), outdated=lacking))["Ready"] == "True"


def test_jobs_that_have_left_the_history_are_deleted_and_the_rest_keep_their_logs() -> None:
    older = [migration(image=f"registry.example/api:{number}") for number in range(12)]
    runs = [run(of, report=succeeded(), ended_ago=100.0 - number) for number, of in enumerate(older)]
    api = migration(image="registry.example/api:12")
    decision = ask(api, [*runs, run(api, report=failed())])
    assert sorted(decision.delete) == sorted(r.job for r in runs[:3])
    assert [entry["job"] for entry in decision.status["history"]][1:] == [r.job for r in reversed(runs[3:])]


def test_a_running_job_tells_what_it_does() -> None:
    api = migration()
    working = run(api, ended_ago=None, progress="running the revision b2 (2 of 3)")
    assert "running the revision b2 (2 of 3)" in ask(api, [working]).verdict.message


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


class TestUnknownRevisions:
    """The database is at a revision that the image does not carry."""

    @pytest.fixture
    def report(self) -> dict[str, Any]:
        return failed("RevisionUnknown", outcome="Refused", current=["c3"], heads=["b2"])

    def test_ahead_is_ready(self, report: dict[str, Any]) -> None:
        api = migration(status={"lineage": ["c3<b2", "b2<a1", "a1<"]})
        decision = ask(api, [run(api, report=report)])
        assert decision.status["state"] == "Ahead"
        assert truths(decision)["Ready"] == "True"

    def test_ahead_can_block(self, report: dict[str, Any]) -> None:
        api = migration(status={"lineage": ["c3<b2", "b2<a1", "a1<"]}, policy={"onAhead": "Block"})
        decision = ask(api, [run(api, report=report)])
        assert decision.status["state"] == "Ahead"
        assert truths(decision)["Stalled"] == "True"

    def test_diverged_stalls(self, report: dict[str, Any]) -> None:
        api = migration(status={"lineage": ["c3<a1", "a1<"]})
        decision = ask(api, [run(api, report=report)])
        assert decision.status["state"] == "Diverged"
        assert truths(decision)["Stalled"] == "True"

    def test_never_seen_stalls_with_advice(self, report: dict[str, Any]) -> None:
        api = migration()
        decision = ask(api, [run(api, report=report)])
        assert decision.status["state"] == "Unknown"
        assert "stamp" in decision.verdict.message


def test_history_keeps_the_last_ten_newest_first() -> None:
    status: dict[str, Any] = {}
    for number in range(12):
        api = migration(image=f"registry.example/api:{number}", status=status)
        status = ask(api, [run(api, report=succeeded(), ended_ago=100.0 - number)]).status
    images = [entry["image"] for entry in status["history"]]
    assert images == [f"registry.example/api:{number}" for number in range(11, 1, -1)]


def test_a_tag_that_was_another_image_before_is_pointed_out() -> None:
    api = migration()
    status = ask(api, [run(api, report=succeeded())]).status
    again = migration(status=status, annotations={"landfall.dev/retry": "1"})
    decision = ask(again, [run(again, report=succeeded(), digest="sha256:" + "b" * 64)])
    assert "pin a digest" in decision.verdict.message


def test_transition_times_move_only_with_the_status() -> None:
    api = migration()
    runs = [run(api, report=succeeded())]
    status = ask(api, runs).status
    for entry in status["conditions"]:
        entry["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    after = ask(migration(status=status), runs).status
    assert condition(after, "Ready")["lastTransitionTime"] == "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(("destructive", "mode"), [("Deny", "Auto"), ("Approve", "Auto"), ("Allow", "Approve")])
def test_a_plan_that_could_not_be_checked_is_never_applied(destructive: str, mode: str) -> None:
    rules: dict[str, Any] = {"mode": mode, "policy": {"destructive": destructive}}
    plan = run(migration(**rules), phase="plan", report=planned())
    status = {"plan": plan_status(plan) | {"unchecked": "The plan could not be linted."}}
    decision = ask(migration(status=status, annotations={ANNOTATION_APPROVE: HASH}, **rules), [plan])
    assert decision.create is None
    assert decision.verdict.reason == "PlanUnchecked"


def test_a_run_ended_by_its_deadline_is_not_tried_again() -> None:
    api = migration()
    decision = ask(api, [run(api, report=failed("Interrupted", transient=True), overdue=True)])
    assert (decision.verdict.kind, decision.verdict.reason) == ("stalled", "DeadlineExceeded")


def test_an_evicted_pod_is_tried_again() -> None:
    api = migration()
    decision = ask(api, [run(api, report={}, trouble="Evicted: low on memory", disrupted=True)])
    assert decision.verdict.reason == "Retrying"


def test_a_failure_stays_what_it_was_when_its_pod_is_cleaned_away() -> None:
    api = migration()
    first = run(api, report=failed(revision="b2"))
    told = ask(api, [first]).status
    without_pod = run(api, report={}, pod=None, digest=None, trouble="BackoffLimitExceeded: It failed.")
    for left in ([without_pod], []):
        decision = ask(migration(status=told), left)
        assert decision.create is None
        assert decision.status == told


def test_a_plan_that_waits_for_an_approval_still_waits_when_its_job_is_cleaned_away() -> None:
    plan = run(migration(mode="Approve"), phase="plan", report=planned())
    told = ask(migration(mode="Approve", status={"plan": plan_status(plan)}), [plan]).status
    assert ask(migration(mode="Approve", status=told)).verdict.reason == "ApprovalNeeded"
    approved = migration(mode="Approve", status=told, annotations={ANNOTATION_APPROVE: HASH})
    decision = ask(approved)
    assert decision.create is not None
    assert (decision.create.phase, decision.create.plan_sha256) == ("apply", "f" * 64)


def test_a_rollback_to_an_image_that_ran_before_is_looked_at_anew() -> None:
    old, new = migration(), migration(image="registry.example/api:2")
    runs = [run(old, report=succeeded(), ended_ago=300), run(new, report=succeeded(current=["c3"]), ended_ago=100)]
    decision = ask(old, runs)
    assert decision.create is not None
    assert (decision.create.phase, decision.create.attempt) == ("apply", 2)
    again = [*runs, run(old, attempt=2, report=failed(transient=True), ended_ago=4)]
    assert ask(old, again).status["attempts"] == 1
    # The same with the newer image's Job cleaned away: the status remembers its turn.
    status = ask(new, runs).status
    assert ask(migration(status=status), runs[:1]).create is not None


def test_what_an_earlier_image_aimed_at_is_not_told_of_this_one() -> None:
    old, new = migration(), migration(image="registry.example/api:2")
    earlier = run(old, report=succeeded(), ended_ago=300)
    status = ask(old, [earlier]).status
    unknown = run(new, report=failed("RevisionUnknown", outcome="Refused", current=["zz"], heads=["b2"]), ended_ago=1)
    told = ask(migration(image="registry.example/api:2", status=status), [earlier, unknown]).status
    assert told["currentRevision"] == "zz"
    assert "targetRevision" not in told
    assert "pendingCount" not in told


@pytest.mark.parametrize(("on_ahead", "kind"), [("Tolerate", "ready"), ("Block", "stalled")])
def test_a_database_beyond_the_target_is_ahead(on_ahead: str, kind: str) -> None:
    api = migration(target="a1", policy={"onAhead": on_ahead})
    decision = ask(api, [run(api, report=succeeded(state="Ahead"))])
    assert (decision.verdict.kind, decision.verdict.reason, decision.status["state"]) == (kind, "Ahead", "Ahead")


def test_more_runs_than_the_history_holds_are_told_once() -> None:
    api = migration()
    runs = [
        run(api, attempt=number, report=failed(transient=True), ended_ago=2000.0 - 100 * number)
        for number in range(1, 13)
    ]
    first = ask(api, runs).status
    assert [entry["attempts"] for entry in first["history"]] == list(range(12, 2, -1))
    assert ask(migration(status=first), runs).status == first


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


def test_an_earlier_images_state_is_not_told_of_one_that_never_looked() -> None:
    old, new = migration(), migration(image="registry.example/api:2")
    runs = [run(old, report=succeeded(), ended_ago=300), run(new, report=failed("WrongPassword"), ended_ago=1)]
    status = ask(old, runs[:1]).status
    assert ask(migration(image="registry.example/api:2", status=status), runs).status["state"] == "Unknown"


def test_a_refused_job_is_a_stall_that_is_tried_again() -> None:
    decision = refused(migration(), [], "The Job is refused: no such volume.", now=NOW)
    assert truths(decision)["Stalled"] == "True"
    assert decision.requeue_seconds


def test_a_deleted_jobs_name_is_not_used_again() -> None:
    old, new = migration(), migration(image="registry.example/api:2")
    status = ask(old, [run(old, report=succeeded(), ended_ago=300)]).status
    status = ask(migration(image=new.image or "", status=status), [run(new, report=succeeded(), ended_ago=100)]).status
    decision = ask(migration(status=status))
    assert decision.create is not None
    assert decision.create.attempt == 2


def test_a_pod_that_never_started_by_its_deadline_is_tried_again() -> None:
    api = migration()
    decision = ask(api, [run(api, report={}, overdue=True)])
    assert (decision.verdict.reason, decision.verdict.kind) == ("Retrying", "reconciling")
