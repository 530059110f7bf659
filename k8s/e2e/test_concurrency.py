"""What comes while a migration runs: a newer spec, a suspension, the loss of its pod, others who claim its database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from cluster import Namespace, condition, migration, run, until
from life import jobs_of
from servers import Database, Server

TARGET = "s04"  # five revisions of two seconds
DISTURBED = ("newer", "twice", "suspended", "killed")
ONCE = "SELECT count(*) = count(DISTINCT revision), max(revision) FROM audit"


@dataclass(frozen=True)
class Disturbed:
    """A Migration whose run was disturbed: its Jobs before, and it and its Jobs after."""

    database: Database
    before: dict[str, Any]
    body: dict[str, Any]
    jobs: list[dict[str, Any]]

    @property
    def targets(self) -> list[str]:
        """What the runs that came to an end have reached."""
        entries = [entry for entry in self.body["status"]["history"] if entry["outcome"] == "Succeeded"]
        return [entry["toRevision"] for entry in reversed(entries)]

    @property
    def images(self) -> list[str]:
        return [entry["image"] for entry in reversed(self.body["status"]["history"])]


def slow(name: str, database: Database, image: str, **spec: Any) -> dict[str, Any]:
    return migration(f"busy-{name}", case="slow", image=image, secret=database.secret, **({"target": TARGET} | spec))


def started(database: Database) -> bool:
    return database.sql("SELECT count(*) FROM pg_class WHERE relname = 'audit'") == "1"


def disturb(stage: Namespace, databases: dict[str, Database], image: str) -> None:
    stage.apply(
        slow("newer", databases["newer"], image),
        slow("twice", databases["twice"], image, target="s05"),
        slow("suspended", databases["suspended"], image, suspend=True),
    )
    stage.apply(slow("twice", databases["twice"], image, target="s06"))
    pods = stage.kubectl("get", "pods", "-l", "landfall.dev/migration=busy-killed", "-o", "name").split()
    stage.kubectl("delete", *pods, "--force", "--grace-period=0")


@pytest.fixture(scope="module")
def disturbed(stage: Namespace, server: Server, app_image: str, newer_app_image: str) -> Iterator[dict[str, Disturbed]]:
    """Each is disturbed in its own way while a revision runs; all at once, as each takes its time."""
    databases = dict(zip(DISTURBED, server.create(len(DISTURBED), namespace=stage), strict=True))
    stage.apply(*(slow(name, database, app_image) for name, database in databases.items()))
    for name, database in databases.items():
        until(lambda database=database: started(database), seconds=60, what=f"{name} runs")  # type: ignore[misc]
    before = {name: jobs_of(stage, stage.get("migration", f"busy-{name}")) for name in DISTURBED}
    assert {name: len(jobs) for name, jobs in before.items()} == dict.fromkeys(DISTURBED, 1)
    disturb(stage, databases, newer_app_image)
    bodies = stage.all_settled("busy-", seconds=120)
    yield {
        name: Disturbed(
            databases[name], before[name][0], bodies[f"busy-{name}"], jobs_of(stage, bodies[f"busy-{name}"])
        )
        for name in DISTURBED
    }
    stage.kubectl("delete", "migration", *(f"busy-{name}" for name in DISTURBED), "--wait=false")


@pytest.mark.parametrize("name", ["newer", "twice", "suspended"])
def test_a_running_job_is_not_touched_by_a_new_spec(disturbed: dict[str, Disturbed], name: str) -> None:
    case = disturbed[name]
    first = case.jobs[0]
    assert first["metadata"]["uid"] == case.before["metadata"]["uid"]
    assert first["status"]["succeeded"] == 1
    assert case.targets[0] == TARGET


@pytest.mark.parametrize("name", DISTURBED)
def test_every_revision_ran_once_whatever_came_between(disturbed: dict[str, Disturbed], name: str) -> None:
    case = disturbed[name]
    assert case.database.sql(ONCE) == f"t|{case.targets[-1]}"


def test_the_new_image_runs_after_the_old_one(
    disturbed: dict[str, Disturbed], app_image: str, newer_app_image: str
) -> None:
    case = disturbed["newer"]
    assert case.images == [app_image, newer_app_image]
    assert condition(case.body, "Ready")["status"] == "True"
    newest, first = case.body["status"]["history"]
    ended = datetime.fromisoformat(first["startedAt"]) + timedelta(seconds=first["durationSeconds"])
    assert datetime.fromisoformat(newest["startedAt"]) >= ended


def test_of_two_new_specs_only_the_newest_runs(disturbed: dict[str, Disturbed]) -> None:
    case = disturbed["twice"]
    assert case.targets == [TARGET, "s06"]
    assert len(case.jobs) == 2
    assert condition(case.body, "Ready")["status"] == "True"


def test_a_suspension_lets_the_running_job_end_and_starts_no_other(
    stage: Namespace, disturbed: dict[str, Disturbed], newer_app_image: str
) -> None:
    case = disturbed["suspended"]
    assert len(case.jobs) == 1
    assert condition(case.body, "Ready")["reason"] == "Suspended"
    stage.apply(slow("suspended", case.database, newer_app_image, suspend=False))
    assert stage.settled("busy-suspended")["status"]["history"][0]["image"] == newer_app_image
    assert stage.condition("busy-suspended", "Ready")["status"] == "True"


def test_a_job_whose_pod_is_killed_is_followed_by_another(disturbed: dict[str, Disturbed]) -> None:
    case = disturbed["killed"]
    assert [entry["attempts"] for entry in case.body["status"]["history"]] == [2, 1]
    assert case.body["status"]["history"][1]["outcome"] in {"PodLost", "Interrupted"}
    assert condition(case.body, "Ready")["status"] == "True"


def test_ten_namespaces_claim_one_database_and_one_gets_it(
    make_stages: Callable[[int], list[Namespace]], server: Server, app_image: str
) -> None:
    stages = make_stages(10)
    database = server.create(1, namespace=stages[0])[0]
    for stage in stages[1:]:
        database.share(stage)
    wanted = migration("api", case="concurrent", image=app_image, secret=database.secret)
    placed = [wanted | {"metadata": {"name": "api", "namespace": stage.name}} for stage in stages]
    apply_everywhere(placed)

    bodies = {stage.name: stage.settled("api", seconds=120) for stage in stages}
    reasons = sorted(condition(body, "Ready")["reason"] for body in bodies.values())
    assert reasons == ["Conflict"] * 9 + ["UpToDate"]
    owner = next(name for name, body in bodies.items() if condition(body, "Ready")["status"] == "True")
    waiting = [name for name in bodies if name != owner]
    assert all(f"{owner}/api" in condition(bodies[name], "Stalled")["message"] for name in waiting)
    outcomes = sorted(entry["outcome"] for body in bodies.values() for entry in body["status"]["history"])
    assert outcomes == ["Refused"] * 9 + ["Succeeded"]
    assert database.sql("SELECT revision, count(*) FROM audit GROUP BY 1 ORDER BY 1") == "c1|1\nc2|1\nc3|1"
    assert database.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_id'::regclass") == "t"
    assert database.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0"

    Namespace(owner).kubectl("delete", "migration", "api", "--timeout=20s")
    heir = Namespace(waiting[0])
    heir.kubectl("patch", "migration", "api", "--type=merge", "-p", '{"spec": {"database": {"takeOver": true}}}')
    assert condition(heir.settled("api"), "Ready")["reason"] == "UpToDate"
    assert condition(Namespace(waiting[1]).settled("api"), "Ready")["reason"] == "Conflict"


def apply_everywhere(bodies: list[dict[str, Any]]) -> None:
    """At once: the bodies name their namespaces."""
    items = {"apiVersion": "v1", "kind": "List", "items": bodies}
    run("kubectl", "apply", "--server-side", "-f", "-", text=json.dumps(items))


def test_one_of_those_that_wait_takes_over_when_the_owner_goes(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    names = [f"{unique}-{letter}" for letter in "abc"]
    for name in names:
        stage.apply(migration(name, case="plain", image=app_image, secret=database.secret))
        stage.settled(name)
    assert [stage.condition(name, "Ready")["reason"] for name in names] == ["UpToDate", "Conflict", "Conflict"]
    stage.kubectl("delete", "migration", names[0], "--timeout=20s")
    rest = names[1:]

    def settled() -> dict[str, dict[str, Any]] | None:
        bodies = {name: stage.settled(name) for name in rest}
        again = all(body["status"]["attempts"] > 1 for body in bodies.values())
        return bodies if again else None

    bodies = until(settled, seconds=60, what="those that waited have tried again")
    reasons = {condition(body, "Ready")["reason"]: name for name, body in bodies.items()}
    assert set(reasons) == {"UpToDate", "Conflict"}
    assert f"{stage.name}/{reasons['UpToDate']}" in condition(bodies[reasons["Conflict"]], "Stalled")["message"]
