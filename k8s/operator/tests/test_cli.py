"""What `kubectl landfall` says: bodies in, lines out. With a cluster: k8s/e2e/test_kubectl_landfall.py."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from builders import DIGEST, HASH, NOW, migration
from lightkube.core.exceptions import ApiError

from landfall_operator.cli import main, show
from landfall_operator.cli.cluster import advice, may_pass
from landfall_operator.cli.terminal import Terminal, brief, of_stdout
from landfall_operator.cli.waiting import look
from landfall_operator.conditions import Kind, Verdict, conditions
from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_RETRY
from landfall_operator.resource import Json

TERMINAL = Terminal(now=NOW)
RUN = {
    "job": "api-0123456789-apply-1",
    "phase": "apply",
    "image": "registry.example/api:1",
    "imageDigest": DIGEST,
    "toRevision": "b2",
    "startedAt": "2026-11-21T11:48:00Z",
    "durationSeconds": 4.5,
    "attempts": 2,
    "outcome": "Succeeded",
    "message": "The database is at b2.",
}


def body(
    kind: Kind = "ready",
    reason: str = "UpToDate",
    message: str = "The database is at b2.",
    *,
    annotations: dict[str, str] | None = None,
    generation: int = 3,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A Migration of generation 3 whose status is of `generation`."""
    made = dict(migration(annotations=annotations, **(spec or {})).body)
    verdict = Verdict(kind=kind, reason=reason, message=message)
    made["kind"] = "Migration"
    made["metadata"] |= {"creationTimestamp": "2026-11-18T12:00:00Z"}
    made["status"] = {
        "observedGeneration": generation,
        "conditions": conditions(verdict, previous=[], generation=generation, now=NOW),
    } | status
    return made


def plan(**changes: Any) -> dict[str, Any]:
    finding = {"severity": "Destructive", "rule": "ban-drop-column", "line": 7, "message": "It drops a column."}
    return {"job": "x", "hash": HASH, "configMap": "api-plan", "findings": [finding]} | changes


def key_of(of: dict[str, Any]) -> str:
    return replace(migration(), body=of).run_key


# Terminals


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (3 * 86400, "3d")]
)
def test_a_duration_is_one_number_and_its_unit(seconds: float, words: str) -> None:
    assert brief(seconds) == words


@pytest.mark.parametrize("width", [200, 100, 80, 60])
def test_a_table_fits_the_terminal(width: int) -> None:
    lines = show.everything([body(message="very " * 50)], Terminal(width=width, now=NOW), namespaces=True)
    assert max(len(line) for line in lines) <= width
    assert "api" in lines[1]
    assert "…" in lines[1]


def test_what_is_no_terminal_gets_whole_lines() -> None:
    long = "very " * 50 + "end"
    assert show.everything([body(message=long)], TERMINAL, namespaces=False)[1].endswith(long)


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert of_stdout().colours
    monkeypatch.setenv("NO_COLOR", "1")
    assert not of_stdout().colours
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    monkeypatch.delenv("NO_COLOR")
    assert not of_stdout().colours
    assert of_stdout().width is None


def test_colours_do_not_move_the_columns() -> None:
    rows = [("READY", "NAME"), ("True", "a"), ("Unknown", "b")]
    painted = Terminal(colours=True, now=NOW).table(rows)
    assert painted[1] == "\033[32mTrue   \033[0m  a"
    assert [line.replace("\033[32m", "").replace("\033[33m", "").replace("\033[0m", "") for line in painted] == (
        TERMINAL.table(rows)
    )


# status, history


def test_the_list_tells_state_and_age_in_a_line_each() -> None:
    lines = show.everything(
        [body(state="UpToDate", currentRevision="b2", targetRevision="b2", pendingCount=0)], TERMINAL, namespaces=False
    )
    assert lines[0].split() == ["NAME", "STATE", "CURRENT", "TARGET", "PENDING", "READY", "AGE", "MESSAGE"]
    assert lines[1].split() == ["api", "UpToDate", "b2", "b2", "0", "True", "3d", "The", "database", "is", "at", "b2."]


def test_one_shows_pending_plan_failure_with_its_log_and_the_last_runs() -> None:
    lines = show.one(
        body(
            "stalled",
            "StatementFailed",
            "It broke.",
            pending=[{"revision": "c3", "message": "a column"}],
            pendingCount=2,
            plan=plan(),
            failure={"revision": "c3", "sqlstate": "42703", "statement": "ALTER TABLE t", "log": "one\ntwo"},
            history=[RUN | {"toRevision": f"r{number}"} for number in range(5)],
        ),
        TERMINAL,
    )
    text = "\n".join(lines)
    for words in ("It broke.", "c3  a column", "and 1 more", "ban-drop-column", "sqlstate 42703", "ALTER TABLE t"):
        assert words in text
    assert text.index("    one\n") < text.index("    two\n")
    assert [name for name in ("r0", "r1", "r2", "r3") if name in text] == ["r0", "r1", "r2"]


def test_what_was_said_of_an_older_spec_is_told_to_be_so() -> None:
    words = "it has not looked at the newest one yet"
    assert words in "\n".join(show.one(body(generation=2), TERMINAL))
    assert words not in "\n".join(show.one(body(), TERMINAL))


def test_the_resource_that_nobody_has_looked_at_is_shown_all_the_same() -> None:
    fresh = body() | {"status": {}}
    assert "Unknown" in "\n".join(show.one(fresh, TERMINAL))
    assert len(show.everything([fresh], TERMINAL, namespaces=True)) == 2


def test_history_tells_when_how_long_and_from_which_image() -> None:
    lines = show.history([RUN, {"job": "lost"}], TERMINAL)
    assert lines[1].startswith("12m ago  apply  Succeeded  4.5s  2        -     b2")
    assert "registry.example/api:1 aaaaaaaaaaaa" in lines[1]
    assert lines[2].split()[0] == "-"


# plan


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (body("reconciling", "ApprovalNeeded", plan=plan()), "waits for an approval"),
        (
            body("reconciling", "ApprovalNeeded", plan=plan(), annotations={ANNOTATION_APPROVE: "b" * 64}),
            "the approval of bbbbbbbbbbbb… was for another plan and is void",
        ),
        (body("reconciling", "Applying", plan=plan(), annotations={ANNOTATION_APPROVE: HASH}), "approved by"),
        (
            body(plan=plan(approvedBy="ann", approvedAt="2026-11-21T11:00:00Z")),
            "applied, approved by ann at 2026-11-21T11:00:00Z",
        ),
        (body("reconciling", "ApprovalNeeded", plan=plan(), generation=2), "void: the spec has changed"),
        (body("stalled", "DestructiveDenied", plan=plan()), "not applied: DestructiveDenied"),
    ],
)
def test_a_plan_says_whether_it_stands(of: Json, words: str) -> None:
    assert words in show.plan_standing(of)


def test_a_plan_lists_findings_notes_and_the_hash_to_approve() -> None:
    of = body("reconciling", "ApprovalNeeded", plan=plan(note="t has about 9 rows.", unchecked="No squawk."))
    lines = show.plan_notes(of, TERMINAL)
    assert lines[0] == "line 7: Destructive: It drops a column. (ban-drop-column)"
    assert lines[1:3] == ["t has about 9 rows.", "unchecked: No squawk."]
    assert lines[-1] == f"hash {HASH}"


def test_a_log_is_shown_without_what_only_the_operator_reads() -> None:
    log = ["one\n", "-----BEGIN LANDFALL LINEAGE 3 ab-----\n", "b2 a1\n", "-----END LANDFALL LINEAGE-----\n", "two\n"]
    assert list(show.readable(log)) == ["one\n", "two\n"]


# wait


def test_a_waiter_ends_well_when_it_is_ready_for_the_newest_generation() -> None:
    assert look(body(), image=None).ready
    stale = look(body(generation=2), image=None)
    assert not stale.over
    assert "generation 3" in stale.text


def test_a_waiter_ends_badly_on_a_stall_of_the_newest_generation_only() -> None:
    seen = look(body("stalled", "WrongPassword", "Correct it."), image=None)
    assert (seen.over, seen.ready, seen.text) == (True, False, "WrongPassword: Correct it.")
    assert not look(body("stalled", "WrongPassword", "Correct it.", generation=2), image=None).over


def test_a_waiter_goes_on_while_there_is_work_or_an_approval_to_come() -> None:
    assert not look(body("reconciling", "Applying"), image=None).over
    assert not look(body("reconciling", "ApprovalNeeded"), image=None).over


def test_a_waiter_does_not_wait_for_what_is_at_rest() -> None:
    seen = look(body("idle", "Planned", "mode Plan applies none."), image=None)
    assert (seen.over, seen.ready) == (True, False)
    assert "at rest" in seen.text


def test_the_stall_before_a_retry_is_not_the_retrys() -> None:
    asked = body("stalled", "WrongPassword", annotations={ANNOTATION_RETRY: "2026-11-21T12:00:00Z"})
    image = asked["spec"]["image"]
    asked["status"]["runner"] = {"job": "api-0123456789-apply-1"}
    assert not look(asked, image=image).over
    asked["status"]["runner"] = {"job": f"api-{key_of(asked)}-apply-1"}
    assert look(asked, image=image).over


def test_a_followed_deployments_new_image_is_waited_for() -> None:
    follower = body(spec={"from": {"deploymentRef": {"name": "api"}}, "image": None})
    key = replace(migration(), body=follower, image="api:1").run_key
    follower["status"]["runner"] = {"job": f"api-{key}-apply-1"}
    assert look(follower, image="api:1").ready
    assert not look(follower, image="api:2").over


# Errors


def refused(code: int, message: str) -> ApiError:
    request = httpx2.Request("GET", "https://cluster")
    content = json.dumps({"kind": "Status", "code": code, "message": message}).encode()
    return ApiError(request=request, response=httpx2.Response(code, content=content, request=request))


@pytest.mark.parametrize(
    ("error", "words", "passes"),
    [
        (refused(404, 'migrations "x" not found'), "kubectl landfall status -A", False),
        (refused(403, "ann cannot get migrations"), "Ask for that verb", False),
        (refused(401, "Unauthorized"), "Log in again", False),
        (refused(503, "etcd is away"), "Try again", True),
        (refused(422, "approve is no date"), "approve is no date", False),
        (httpx2.ConnectError("refused"), "cannot be reached: refused", True),
        (
            httpx2.HTTPStatusError("", request=httpx2.Request("GET", "x:"), response=httpx2.Response(404)),
            "CRDs are not installed",
            False,
        ),
    ],
)
def test_every_error_is_one_line_that_says_what_to_do(error: httpx2.HTTPError, words: str, *, passes: bool) -> None:
    line = advice(error, server="https://cluster", namespace="shop")
    assert words in line
    assert "\n" not in line
    assert may_pass(error) is passes


@pytest.mark.parametrize("content", ["", "not: [yaml", "clusters: 3", "{}"])
def test_a_kubeconfig_that_is_none_is_told_in_a_line(
    content: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(SystemExit) as end:
        main(["status"])
    assert str(end.value.code).startswith("kubectl landfall: the kubeconfig cannot be used: ")
    assert "\n" not in str(end.value.code)


@pytest.mark.parametrize("arguments", [[], ["plan"], ["wait", "api", "--timeout", "soon"], ["frob"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
