"""Gates: the Deployments that wait for a schema are told when it stalls, so that `helm upgrade --wait` ends at once."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cluster import Namespace, condition, idle_deployment, migration, run, until
from life import sample, scrape
from servers import Database

CHART = Path(__file__).parent / "charts/gated"
FAILS_WITHIN_SECONDS = 10
MARKED_SECONDS = 10
TIMEOUT = "600s"  # as long as the Deployment's own deadline: what ends earlier was ended by the gate


def marker(stage: Namespace, deployment: str) -> dict[str, Any]:
    return condition(stage.get("deployment", deployment), "Stalled")


@pytest.fixture
def deployment(stage: Namespace, unique: str) -> Iterator[str]:
    stage.apply(idle_deployment(unique, api="unused"))
    yield unique
    stage.kubectl("delete", "deployment", unique, "--wait=false")


@pytest.fixture
def marked(stage: Namespace, database: Database, app_image: str, deployment: str) -> dict[str, Any]:
    """A Migration that has just stalled, with its marker on the Deployment of the same name."""
    wanted = migration(
        deployment, case="failing", image=app_image, secret=database.secret, gates=[{"deployment": deployment}]
    )
    stage.apply(wanted)
    until(lambda: marker(stage, deployment), seconds=60, what="the Deployment is marked")
    return wanted


class Helm:
    """One release of the chart `gated`."""

    def __init__(self, stage: Namespace, name: str, image: str, database: Database) -> None:
        self._stage = stage
        self._values = {"image": image, "secret": database.secret}
        self.name = name

    def upgrade(self, **values: str) -> tuple[int, str, float]:
        """Exit code, what Helm printed as an error, and the seconds that it took."""
        options = [part for name, value in (self._values | values).items() for part in ("--set", f"{name}={value}")]
        command = ["helm", "-n", self._stage.name, "upgrade", "--install", self.name, str(CHART), *options]
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "--wait", "--timeout", TIMEOUT], capture_output=True, text=True, check=False, timeout=660
        )
        return done.returncode, done.stderr, time.monotonic() - begun

    def uninstall(self) -> None:
        run("helm", "-n", self._stage.name, "uninstall", self.name, "--ignore-not-found", check=False)


@pytest.fixture
def helm(stage: Namespace, database: Database, app_image: str, unique: str) -> Iterator[Helm]:
    version = run("helm", "version", "--template", "{{.Version}}")
    if not version.startswith("v4"):
        pytest.fail(f"helm is {version}: put Helm 4 first on PATH, Helm 3 does not wait for custom resources")
    release = Helm(stage, unique, app_image, database)
    yield release
    release.uninstall()


@pytest.mark.alone
def test_a_failing_migration_ends_helm_upgrade_at_once_and_the_next_good_one_is_green(
    stage: Namespace, helm: Helm, newer_app_image: str
) -> None:
    code, words, _ = helm.upgrade(target="a1", knows="a1 b2")
    assert code == 0, words

    code, words, seconds = helm.upgrade(image=newer_app_image, case="failing")
    assert code != 0
    reasons = re.findall(r"(\w+)/\S+ not ready. status: Failed, message: (.*)", error_of(words))
    assert reasons, words
    assert "Revision b2" in reasons[0][1]
    assert "does not exist" in reasons[0][1]
    spent = timeline(stage, helm.name)
    assert seconds <= FAILS_WITHIN_SECONDS, f"it took {seconds:.1f} s; {spent}"

    at = datetime.fromisoformat(marker(stage, helm.name)["lastTransitionTime"])
    until(lambda: not marker(stage, helm.name), seconds=MARKED_SECONDS + 3, what="the marker goes")
    assert (datetime.now(at.tzinfo) - at).total_seconds() >= MARKED_SECONDS - 1

    code, words, _ = helm.upgrade(image=newer_app_image)
    assert code == 0, words
    assert not marker(stage, helm.name)


def error_of(words: str) -> str:
    """What Helm says at the end; before it, it logs the same with quotes escaped."""
    return words[words.index("Error: UPGRADE FAILED") :]


def timeline(stage: Namespace, name: str) -> str:
    """Where the time went, for whoever reads the failure."""
    body = stage.get("migration", name)
    job = stage.get("job", body["status"]["runner"]["job"])
    pod = stage.list("pod", labels=f"job-name={job['metadata']['name']}")[0]
    status = pod["status"]
    runner = status["initContainerStatuses"][0]["state"]["terminated"]
    run_itself = status["containerStatuses"][0]["state"]["terminated"]
    moments = {
        "Job created": job["metadata"]["creationTimestamp"],
        "init container began": runner["startedAt"],
        "init container ended": runner["finishedAt"],
        "migration began": run_itself["startedAt"],
        "migration ended": run_itself["finishedAt"],
        "stalled": condition(body, "Stalled")["lastTransitionTime"],
    }
    return ", ".join(f"{what} {at[11:19]}" for what, at in moments.items())


def test_a_gate_that_is_not_there_does_no_harm(
    stage: Namespace, database: Database, app_image: str, deployment: str
) -> None:
    gates = [{"deployment": f"{deployment}-absent"}, {"deployment": deployment}]
    stage.apply(migration(deployment, case="failing", image=app_image, secret=database.secret, gates=gates))
    assert stage.settled(deployment)["status"]["failure"]["revision"] == "b2"
    assert marker(stage, deployment)["message"].startswith(f"Migration/{deployment}: Revision b2: ")


def new_image(body: dict[str, Any]) -> None:
    body["spec"]["alembic"]["workingDir"] = "/app/plain"


def no_gate(body: dict[str, Any]) -> None:
    body["spec"]["gates"] = []


def suspended(body: dict[str, Any]) -> None:
    body["spec"]["suspend"] = True


@pytest.mark.parametrize("change", [new_image, no_gate, suspended])
def test_a_marker_goes_with_a_new_generation(
    stage: Namespace, marked: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> None:
    """Also where the new spec names the Deployment no more: a marker that stays fails the next good upgrade."""
    name = marked["metadata"]["name"]
    change(marked)
    stage.apply(marked)
    until(lambda: not marker(stage, name), seconds=MARKED_SECONDS / 2, what="the marker goes")
    assert marker(stage, name) == {}


def test_a_marker_goes_with_its_migration(stage: Namespace, marked: dict[str, Any]) -> None:
    name = marked["metadata"]["name"]
    stage.kubectl("delete", "migration", name, "--timeout=20s")
    until(lambda: not marker(stage, name), seconds=MARKED_SECONDS + 3, what="the marker goes")


def test_a_marker_is_not_set_again_while_the_migration_stays_stalled(stage: Namespace, marked: dict[str, Any]) -> None:
    name = marked["metadata"]["name"]
    until(lambda: not marker(stage, name), seconds=MARKED_SECONDS + 3, what="the marker goes")
    looks = looks_of(stage)
    stage.kubectl("annotate", "migration", name, "anything=else")
    until(lambda: looks_of(stage) > looks, seconds=10, what="the operator has looked again")
    assert marker(stage, name) == {}


def looks_of(stage: Namespace) -> float:
    return sample(scrape(stage), "landfall_reconcile_seconds_count", kind="Migration") or 0
