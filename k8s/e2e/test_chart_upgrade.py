"""A release of the umbrella chart as Helm 4 upgrades it and rolls it back: to newer schemas, failing ones, and none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from api_images import make_image
from cluster import Namespace, condition, until
from conftest import Once, delete_namespace, make_namespace, split
from load import Load, LoadReport, create_user
from releases import Outcome, Release, Values

API = "landfall-api"
MIGRATION = "landfall"
OPERATOR = "landfall-operator"
OPERATOR_PODS = "app.kubernetes.io/name=landfall-operator"
API_PODS = "app.kubernetes.io/component=api"
REPLICAS = 2
RATE = 50
FAILS_WITHIN_SECONDS = 10
SLOW_SECONDS = 60  # images/release/slow.py
FAILURE = 'Revision e2e0000000ff: relation "no_such_table" does not exist'

MakeImage = Callable[..., str]


@pytest.fixture(scope="module")
def namespace(crds: None) -> Iterator[Namespace]:
    stage = make_namespace()
    yield stage
    delete_namespace(stage)


@pytest.fixture(scope="module")
def landfall(namespace: Namespace, chart_values: Values) -> Release:
    release = Release(namespace, values=chart_values)
    release.install()
    return release


@pytest.fixture(scope="module")
def next_image(once: Once, backend_image: str) -> MakeImage:
    """The service's image with further revisions."""
    return lambda *revisions: make_image(once, backend_image, *revisions)


@dataclass(frozen=True)
class Upgraded:
    """A release that went from the service's own image to one of a newer schema, under load."""

    release: Release
    report: LoadReport
    schemas: tuple[str, str]


@pytest.fixture(scope="module")
def upgraded(landfall: Release, namespace: Namespace, backend_image: str, next_image: MakeImage) -> Upgraded:
    before = namespace.get("migration", MIGRATION)["status"]["currentRevision"]
    with_column = next_image("surveyor")
    report = under_load(namespace, backend_image, lambda: landfall.upgrade(api(with_column)))
    after = namespace.get("migration", MIGRATION)["status"]["currentRevision"]
    return Upgraded(landfall, report, (before, after))


def under_load(stage: Namespace, image: str, act: Callable[[], Outcome]) -> LoadReport:
    load = Load(stage, image, create_user(stage), rate=RATE)
    load.start()
    act()
    return load.stop()


def require_all_answered(report: LoadReport) -> None:
    found = f"{len(report.failures)} of {report.requests} requests failed: " + "\n".join(report.failures[:20])
    assert not report.failures, found
    # What the machine is too slow for would show nothing.
    assert report.requests >= 0.9 * RATE * report.seconds, f"{report.requests} requests in {report.seconds:.0f} s"


def api(image: str) -> Values:
    return {"api": {"image": split(image)}}


def api_pods(stage: Namespace, image: str) -> list[dict[str, Any]]:
    pods = [pod for pod in stage.list("pod", labels=API_PODS) if "deletionTimestamp" not in pod["metadata"]]
    return [pod for pod in pods if pod["spec"]["containers"][0]["image"] == image]


def ready(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pod for pod in pods if condition(pod, "Ready").get("status") == "True"]


def serves(stage: Namespace, image: str) -> bool:
    """Whether all pods of that image are ready, and the Service answers."""
    path = f"/api/v1/namespaces/{stage.name}/services/{API}:http/proxy/api/v1/health"
    answer = json.loads(stage.kubectl("get", "--raw", path))
    return answer["ready"] and len(ready(api_pods(stage, image))) == REPLICAS


def rolled_out(stage: Namespace, image: str) -> bool:
    """Whether the Migration and all pods are ready with that image, and there are no others."""
    body = stage.get("migration", MIGRATION)
    pods = [pod for pod in stage.list("pod", labels=API_PODS) if "deletionTimestamp" not in pod["metadata"]]
    return (
        body["spec"]["image"] == image
        and condition(body, "Ready").get("status") == "True"
        and len(pods) == len(ready(api_pods(stage, image))) == REPLICAS
    )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def migration_run(stage: Namespace) -> dict[str, Any]:
    """When the Migration's last run began and ended, as Kubernetes tells of its container."""
    job = stage.get("migration", MIGRATION)["status"]["runner"]["job"]
    (pod,) = stage.list("pod", labels=f"job-name={job}")
    times: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return times


@pytest.mark.alone
def test_an_upgrade_to_a_newer_schema_fails_no_request(upgraded: Upgraded) -> None:
    before, after = upgraded.schemas
    assert before != after == "e2e000000001"
    require_all_answered(upgraded.report)


@pytest.mark.alone
def test_a_rollback_to_a_release_of_an_older_schema_fails_no_request(
    upgraded: Upgraded, namespace: Namespace, backend_image: str
) -> None:
    report = under_load(namespace, backend_image, lambda: upgraded.release.rollback(1))
    require_all_answered(report)
    assert rolled_out(namespace, backend_image)
    assert namespace.get("migration", MIGRATION)["status"]["state"] == "Ahead"


@pytest.mark.alone
def test_a_failing_revision_ends_the_upgrade_with_its_error_and_going_back_heals(
    landfall: Release, namespace: Namespace, backend_image: str, next_image: MakeImage
) -> None:
    broken = next_image("surveyor", "failing")
    landfall.upgrade(api(backend_image))
    outcome = landfall.try_upgrade(api(broken), timeout="600s")
    ended = datetime.now(UTC)
    assert outcome.code
    first = error_of(outcome).splitlines()[0]
    assert FAILURE in first
    assert (ended - moment(migration_run(namespace)["finishedAt"])).total_seconds() <= FAILS_WITHIN_SECONDS
    assert serves(namespace, backend_image)
    assert not ready(api_pods(namespace, broken))

    landfall.upgrade(api(backend_image))
    assert rolled_out(namespace, backend_image)


def test_the_next_good_upgrade_heals_a_failed_one_also_when_its_revision_takes_a_minute(
    landfall: Release, namespace: Namespace, next_image: MakeImage
) -> None:
    slow = next_image("surveyor", "slow")
    assert landfall.try_upgrade(api(next_image("surveyor", "failing")), timeout="600s").code
    landfall.upgrade(api(slow))
    assert rolled_out(namespace, slow)
    begun = moment(migration_run(namespace)["startedAt"])
    waited = [moment(condition(pod, "Ready")["lastTransitionTime"]) - begun for pod in api_pods(namespace, slow)]
    assert min(waited).total_seconds() >= SLOW_SECONDS


def test_an_upgrade_to_an_image_that_is_missing_names_it(
    landfall: Release, namespace: Namespace, backend_image: str
) -> None:
    landfall.upgrade(api(backend_image))
    outcome = landfall.try_upgrade(api(f"{backend_image}-missing"), timeout="600s")
    assert outcome.code
    assert f"{backend_image}-missing" in error_of(outcome).splitlines()[0]
    assert serves(namespace, backend_image)


def test_new_pods_wait_for_an_operator_that_is_away_while_old_ones_serve(
    landfall: Release, namespace: Namespace, backend_image: str, next_image: MakeImage
) -> None:
    deeper = next_image("surveyor", "slow", "depth")
    landfall.upgrade(api(backend_image))
    take_operator_away(namespace)
    landfall.try_upgrade(api(deeper), wait=False)

    waiting = until(lambda: started(api_pods(namespace, deeper)), seconds=60, what="a new pod that has started")
    assert "run `landfall migrate`" in namespace.kubectl("exec", waiting, "--", "landfall", "check", check=False)
    assert not ready(api_pods(namespace, deeper))
    assert serves(namespace, backend_image)

    namespace.kubectl("rollout", "resume", f"deployment/{OPERATOR}")
    until(lambda: rolled_out(namespace, deeper), seconds=180, what="the new pods are ready when the operator is back")


def take_operator_away(stage: Namespace) -> None:
    """As by scaling it to 0, which an upgrade would undo: a Deployment that is paused makes no new ReplicaSet."""
    stage.kubectl("rollout", "pause", f"deployment/{OPERATOR}")
    stage.kubectl("delete", "replicaset", "-l", OPERATOR_PODS)
    stage.kubectl("wait", "--for=delete", "pod", "-l", OPERATOR_PODS, "--timeout=60s")


def started(pods: list[dict[str, Any]]) -> str | None:
    """The name of a pod whose container passed its startup probe."""
    found = (pod for pod in pods if pod["status"].get("containerStatuses", [{}])[0].get("started"))
    return next((str(pod["metadata"]["name"]) for pod in found), None)


def error_of(outcome: Outcome) -> str:
    """What Helm says at the end; before it, it logs the same with quotes escaped."""
    return outcome.words[outcome.words.index("Error: UPGRADE FAILED") :]
