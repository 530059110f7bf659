"""What the operator does next, in each situation."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW, ask, failed, migration, run, succeeded, truths

from landfall_operator.conditions import condition
from landfall_operator.constants import MAX_ATTEMPTS
from landfall_operator.decide import refused


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
