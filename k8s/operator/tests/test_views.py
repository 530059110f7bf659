"""What is made of Jobs and Pods as the API server shows them."""

from __future__ import annotations

from typing import Any

import pytest

from landfall_operator.resource import seconds
from landfall_operator.views import observe


def job(**status: Any) -> dict[str, Any]:
    labels = {"landfall.dev/run": "abc", "landfall.dev/phase": "apply", "landfall.dev/attempt": "2"}
    containers = [{"name": "migrate", "image": "api:1"}]
    return {
        "metadata": {"name": "api-abc-apply-2", "labels": labels, "creationTimestamp": "2026-11-21T12:00:00Z"},
        "spec": {"template": {"spec": {"containers": containers}}},
        "status": status,
    }


def pod(phase: str, **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "api-abc-apply-2-x", "creationTimestamp": "2026-11-21T12:00:00Z"},
        "status": {"phase": phase} | changes,
    }


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "migrate", "imageID": "docker-pullable://api@sha256:" + "a" * 64, "state": state}]


FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "No more."}]}


def test_a_run_is_over_with_its_container_before_pod_and_job_say_so() -> None:
    ended = {"exitCode": 0, "finishedAt": "2026-11-21T12:00:09Z", "message": '{"outcome":"Succeeded"}'}
    run = observe(
        job(startTime="2026-11-21T12:00:00Z"), [pod("Succeeded", containerStatuses=container(terminated=ended))]
    )
    assert run.finished
    assert (run.report["outcome"], run.seconds, run.digest) == ("Succeeded", 9.0, "sha256:" + "a" * 64)


def test_a_failed_job_whose_pod_still_ends_is_not_over() -> None:
    assert not observe(job(**FAILED), [pod("Running", containerStatuses=container(running={}))]).finished


def test_a_failed_job_without_a_pod_is_over() -> None:
    run = observe(job(**FAILED), [])
    assert (run.finished, run.trouble) == (True, "BackoffLimitExceeded: No more.")


def test_an_evicted_pod_is_told_in_the_clusters_words() -> None:
    target = [{"type": "DisruptionTarget", "status": "True"}]
    run = observe(job(), [pod("Failed", reason="Evicted", message="The node was low on memory.", conditions=target)])
    assert (run.finished, run.disrupted, run.trouble) == (True, True, "Evicted: The node was low on memory.")


def test_a_failing_init_container_is_named() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "no space"}
    run = observe(job(), [pod("Failed", initContainerStatuses=[{"name": "runner", "state": {"terminated": ended}}])])
    assert run.trouble == "The init container runner: Error (exit code 1) no space"


def test_a_report_that_is_not_json_is_no_report() -> None:
    ended = {"exitCode": 1, "message": "Traceback"}
    run = observe(job(), [pod("Failed", containerStatuses=container(terminated=ended))])
    assert (run.report, run.trouble) == ({}, "Error (exit code 1) Traceback")


@pytest.mark.parametrize(("text", "expected"), [("500ms", 0.5), ("1h30m", 5400.0), ("1.5s", 1.5)])
def test_durations_are_gos(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_an_image_that_cannot_be_pulled_is_told_the_same_between_two_tries() -> None:
    words = 'failed to pull and unpack image "nosuch:1": not found'
    trying = {"reason": "ErrImagePull", "message": words}
    pausing = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "nosuch:1": ErrImagePull: {words}'}
    told = [observe(job(), [pod("Pending", containerStatuses=container(waiting=w))]) for w in (trying, pausing)]
    assert {run.trouble for run in told} == {f"ErrImagePull: {words}"}
    assert {run.hopeless for run in told} == {"ImagePullFailed"}


@pytest.mark.parametrize(("status", "podless"), [({}, True), ({"active": 1}, False), ({"failed": 1}, False)])
def test_a_job_without_a_pod_is_told_from_one_whose_pod_has_gone(*, status: dict[str, Any], podless: bool) -> None:
    assert observe(job(**status), []).podless is podless
