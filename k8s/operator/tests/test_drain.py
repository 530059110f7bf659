"""What the drain makes of what Buckets say. With a cluster and Helm: k8s/e2e/test_chart_operator.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
from lightkube.core.exceptions import ApiError

from landfall_operator.cli import drain as drains
from landfall_operator.cli.cluster import Kind
from landfall_operator.conditions import Kind as VerdictKind
from landfall_operator.conditions import Verdict, conditions
from landfall_operator.constants import ANNOTATION_RETRY

Answer = dict[str, Any] | httpx2.HTTPError


def refused(code: int, message: str) -> ApiError:
    request = httpx2.Request("GET", "https://cluster")
    content = json.dumps({"kind": "Status", "code": code, "message": message}).encode()
    return ApiError(request=request, response=httpx2.Response(code, content=content, request=request))


GONE = refused(404, "not found")


def saying(kind: VerdictKind, message: str, *, stale: bool = False) -> dict[str, Any]:
    """A deleted Bucket; a stale status is of before the drain asked."""
    verdict = Verdict(kind=kind, reason="Because", message=message)
    told = conditions(verdict, previous=[], generation=2, now=datetime.now(UTC))
    return {
        "kind": "Bucket",
        "metadata": {"generation": 2, "annotations": {}},
        "spec": {},
        "status": {"observedGeneration": 2, "conditions": told, "stale": stale},
    }


class FakeBuckets(drains.Buckets):
    """Each Bucket gives its answers in turn, the last one again and again."""

    def __init__(self, **answers: Sequence[Answer]) -> None:
        self.server = "https://cluster"
        self.namespace = "shop"
        self.deleted: list[str] = []
        self._answers = {name: list(given) for name, given in answers.items()}
        self._mark: dict[str, str] = {}

    def get(self, kind: Kind, name: str) -> dict[str, Any]:  # noqa: ARG002
        answers = self._answers[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, httpx2.HTTPError):
            raise answer
        if name in self._mark:
            answer["metadata"]["annotations"] = {ANNOTATION_RETRY: self._mark[name]}
            answer["status"]["retriedFor"] = "before" if answer["status"].pop("stale", False) else self._mark[name]
        return answer

    def annotate(self, kind: Kind, name: str, annotations: Mapping[str, str]) -> None:  # noqa: ARG002
        self._mark[name] = annotations[ANNOTATION_RETRY]

    def delete(self, name: str) -> None:
        self.deleted.append(name)


def drain(buckets: FakeBuckets, *names: str, seconds: float = 5) -> dict[str, str]:
    return drains.drain(buckets, names, seconds=seconds, pause=0)


THERE = saying("ready", "It is as it should be.")


def test_buckets_are_deleted_and_waited_for() -> None:
    purging = saying("reconciling", "Being emptied.")
    buckets = FakeBuckets(a=[dict(THERE), purging, purging, GONE], b=[dict(THERE), GONE])
    assert drain(buckets, "a", "b") == {}
    assert buckets.deleted == ["a", "b"]


def test_what_is_gone_already_is_no_matter() -> None:
    buckets = FakeBuckets(a=[GONE], b=[httpx2.HTTPStatusError("no kind", request=GONE.request, response=GONE.response)])
    assert drain(buckets, "a", "b") == {}
    assert buckets.deleted == []


def test_one_that_waits_for_people_ends_it_with_its_own_words() -> None:
    buckets = FakeBuckets(a=[dict(THERE), saying("stalled", "It is not empty.")], b=[dict(THERE), GONE])
    assert drain(buckets, "a", "b") == {"a": "Because: It is not empty."}


def test_what_a_bucket_said_before_it_was_asked_again_does_not_count() -> None:
    buckets = FakeBuckets(a=[dict(THERE), saying("stalled", "It is not empty.", stale=True), GONE])
    assert drain(buckets, "a") == {}


def test_what_may_pass_is_waited_for_until_the_time_is_over() -> None:
    buckets = FakeBuckets(a=[dict(THERE), saying("reconciling", "The store is away.")])
    assert drain(buckets, "a", seconds=0.05) == {"a": "Not within 0.05 s: Because: The store is away."}


def test_an_api_server_that_cannot_answer_yet_is_asked_again() -> None:
    buckets = FakeBuckets(a=[httpx2.ConnectError("refused"), refused(503, "starting"), dict(THERE), GONE])
    assert drain(buckets, "a") == {}
    assert buckets.deleted == ["a"]


def test_a_right_that_is_missing_is_said_at_once() -> None:
    (said,) = drain(FakeBuckets(a=[refused(403, "drain cannot get buckets")]), "a").values()
    assert said.startswith("drain cannot get buckets. Ask for that verb")
