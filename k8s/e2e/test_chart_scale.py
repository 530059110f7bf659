"""A release without an operator, beside one that is there; scaled by hand and by its load, within its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster import until
from conftest import delete_namespace, make_namespace
from load import Load, User, create_user
from releases import SUBCHARTS, Release, Values
from umbrella import POSTGIS, Landfall, watched

MOST = 5
# What five pods and a rollout may hold. It leaves one pod room for the load's 16 threads: 9 at work, 7 waiting.
BUDGET = 80
RATE = 25
SCALED_SECONDS = 150
OPERATOR = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "landfall-operator"}}}
COUNT = r"SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'landfall_app_%' \watch 0.2"
SERVED: Values = {
    "operator": {"enabled": False},
    "database": {"connectionBudget": BUDGET},
    # Pods that start take the CPU of a small machine from the one that serves: requests wait their turn meanwhile.
    "settings": {"ADMISSION_WAIT_SECONDS": 5},
}


@pytest.fixture(scope="module")
def landfall(crds: None, chart_values: dict[str, Any]) -> Iterator[Landfall]:
    stage = make_namespace()
    minio = chart_values["minio"] | {"networkPolicy": {"extraIngress": [OPERATOR]}}
    operator = Release(stage, "landfall-operator", SUBCHARTS / "operator", values=chart_values["operator"])
    try:
        operator.install()
        found = Landfall(Release(stage, values=chart_values | SERVED | {"minio": minio}))
        found.release.install(replicas(1))
        yield found
    finally:
        delete_namespace(stage)


@pytest.fixture(scope="module")
def user(landfall: Landfall) -> User:
    return create_user(landfall.stage)


def replicas(count: int) -> Values:
    return {"api": {"replicas": count}}


def autoscaled() -> Values:
    scaling = {"enabled": True, "minReplicas": 1, "maxReplicas": MOST, "scaleDownStabilizationSeconds": 0}
    requests = {"cpu": "50m", "memory": "128Mi"}
    return {
        "api": {"autoscaling": scaling | {"targetCPUUtilizationPercentage": 50}, "resources": {"requests": requests}}
    }


@contextmanager
def connections(landfall: Landfall) -> Iterator[Callable[[], int]]:
    """Gives the most connections of the application's that were seen at a time."""
    with watched(landfall.stage, POSTGIS, "sh", "-c", f'echo "{COUNT}" | psql -X -qAt') as lines:
        yield lambda: max(int(line) for line in lines() if line.strip().isdigit())


def ready(landfall: Landfall) -> int:
    return int(landfall.stage.get("deployment", "landfall-api")["status"].get("readyReplicas", 0))


def test_a_release_with_an_operator_of_its_own_is_refused_beside_another(landfall: Landfall) -> None:
    outcome = landfall.release.try_upgrade({"operator": {"enabled": True}}, wait=False)
    assert outcome.code != 0
    assert '"landfall-operator' in outcome.words
    assert "exists and cannot be imported into the current release" in outcome.words


def test_a_release_without_an_operator_is_served_by_the_one_that_is_there(landfall: Landfall) -> None:
    for kind in ("migration", "bucket"):
        assert landfall.stage.condition("landfall", "Ready", of=kind)["status"] == "True"


@pytest.mark.alone
def test_scaled_by_hand_from_1_to_5_and_back_it_fails_no_request(
    landfall: Landfall, backend_image: str, user: User
) -> None:
    load = Load(landfall.stage, backend_image, user, rate=RATE)
    with connections(landfall) as most:
        load.start()
        landfall.release.upgrade(replicas(MOST))
        assert ready(landfall) == MOST
        landfall.release.upgrade(replicas(1))
        until(lambda: ready(landfall) == 1, seconds=SCALED_SECONDS, what="one pod is left")
        report = load.stop()
        held = most()
    print(f"{held} connections at most, {report.requests} requests")  # noqa: T201 - pytest -rP shows it
    assert report.failures == []
    assert held <= BUDGET


@pytest.mark.alone
def test_scaled_by_its_load_to_5_and_back_it_fails_no_request(
    landfall: Landfall, backend_image: str, user: User
) -> None:
    landfall.release.upgrade(autoscaled())
    load = Load(landfall.stage, backend_image, user, rate=RATE)
    with connections(landfall) as most:
        load.start()
        until(lambda: ready(landfall) == MOST, seconds=SCALED_SECONDS, what="load gives five pods")
        report = load.stop()
        until(lambda: ready(landfall) == 1, seconds=SCALED_SECONDS, what="without load one pod is left")
        held = most()
    print(f"{held} connections at most, {report.requests} requests")  # noqa: T201 - pytest -rP shows it
    assert report.failures == []
    assert held <= BUDGET
