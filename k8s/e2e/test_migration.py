"""One Migration through its life: applied, followed, repeated, waiting, and refused by its schema."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from cluster import ClusterError, Namespace, condition, idle_deployment, migration, run, until
from conftest import KIND_CLUSTER, MakeDatabase, delete_migrations
from servers import Database

HISTORY = 10


@pytest.fixture(scope="module", autouse=True)
def repeated(stage: Namespace, app_image: str, make_database: MakeDatabase) -> Iterator[Future[list[dict[str, Any]]]]:
    """A Migration that runs once more than its history is long, beside the tests of this module; each time's status."""
    name = f"h{uuid.uuid4().hex[:6]}"
    body = migration(name, case="plain", image=app_image, secret=make_database(stage).secret)

    def repeat() -> list[dict[str, Any]]:
        stage.apply(body)
        stage.kubectl("wait", "--for=condition=Ready", f"migration/{name}", "--timeout=60s")
        first = stage.get("migration", name)
        return [first["status"], *(retried(stage, name, str(number)) for number in range(HISTORY))]

    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(repeat)
    delete_migrations(stage, name)


def test_a_migration_brings_the_database_to_head(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    status = stage.get("migration", unique)["status"]
    assert (status["state"], status["currentRevision"], status["pendingCount"]) == ("UpToDate", "b2", 0)
    assert database.sql("SELECT version_num FROM alembic_version") == "b2"
    assert status["imageDigest"].startswith("sha256:")


def test_a_deployments_image_is_followed(
    stage: Namespace, app_image: str, newer_app_image: str, database: Database, unique: str
) -> None:
    source = {"deploymentRef": {"name": unique, "container": "api"}}
    stage.apply(migration(unique, case="plain", image=None, secret=database.secret, **{"from": source}))
    until(
        lambda: stage.condition(unique, "Ready")["reason"] == "DeploymentMissing",
        seconds=20,
        what="the missing Deployment is told",
    )
    assert f"There is no Deployment {unique}" in stage.condition(unique, "Ready")["message"]
    stage.apply(idle_deployment(unique, proxy="landfall-e2e-proxy", api=app_image))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    stage.apply(idle_deployment(unique, proxy="landfall-e2e-proxy", api=newer_app_image))
    entries = until(
        lambda: [e for e in stage.get("migration", unique)["status"]["history"] if e["image"] == newer_app_image],
        seconds=60,
        what="the Deployment's new image has run",
    )
    assert entries[0]["outcome"] == "Succeeded"
    assert stage.get("migration", unique)["status"]["image"] == newer_app_image
    stage.kubectl("delete", "deployment", unique, "--wait=false")


def test_a_suspended_migration_runs_when_it_is_resumed(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret, suspend=True))
    stage.settled(unique)
    assert not stage.list("job", labels=f"landfall.dev/migration={unique}")
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret, suspend=False))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")


@pytest.fixture
def moving_image(app_image: str, newer_app_image: str, release: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A tag that is one image first and another after the call."""
    tag = f"landfall-e2e-app:{release}-moving"

    def point(image: str) -> None:
        run("docker", "tag", image, tag)
        run("kind", "load", "docker-image", tag, "--name", KIND_CLUSTER)

    point(app_image)
    yield tag, lambda: point(newer_app_image)
    run("docker", "image", "rm", tag, check=False)


def test_a_tag_that_was_another_image_before_is_pointed_out(
    stage: Namespace, moving_image: tuple[str, Callable[[], None]], database: Database, unique: str
) -> None:
    tag, move = moving_image
    stage.apply(migration(unique, case="plain", image=tag, secret=database.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    before = stage.get("migration", unique)["status"]["imageDigest"]
    assert "another image before" not in stage.condition(unique, "Ready")["message"]
    move()
    status = retried(stage, unique, "1")
    assert status["imageDigest"] != before
    message = stage.condition(unique, "Ready")["message"]
    assert f"the tag {tag} was another image before ({before[:19]}…); pin a digest" in message


def retried(stage: Namespace, name: str, mark: str) -> dict[str, Any]:
    """The status after one more run."""
    known = {entry["job"] for entry in stage.get("migration", name)["status"]["history"]}
    stage.kubectl("annotate", "--overwrite", f"migration/{name}", f"landfall.dev/retry={mark}")

    def look() -> dict[str, Any] | None:
        body = stage.get("migration", name)
        status: dict[str, Any] = body["status"]
        again = status["history"][0]["job"] not in known
        return status if again and condition(body, "Ready")["status"] == "True" else None

    return until(look, seconds=60, what=f"{name} has run again")


def test_who_holds_the_lock_is_shown_while_a_run_waits(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    owner, waiting = f"{unique}-owner", f"{unique}-waiting"
    database.hold()
    stage.apply(migration(owner, case="held", image=app_image, secret=database.secret))
    until(database.is_held, seconds=60, what="the owner is in its revision")
    stage.apply(migration(waiting, case="plain", image=app_image, secret=database.secret))
    message = until(
        lambda: next(
            iter(m for m in [stage.condition(waiting, "Ready")["message"]] if "waiting for the lock" in m), ""
        ),
        seconds=60,
        what="the wait is shown",
    )
    database.release()
    assert f"{stage.name}/{owner}" in message
    assert "user app" in message
    body = stage.settled(waiting)
    assert condition(body, "Stalled")["reason"] == "Conflict"
    assert database.sql("SELECT count(*) FROM audit") == "1"


SPEC: dict[str, Any] = {"image": "api:1", "database": {"urlFrom": {"secretKeyRef": {"name": "db", "key": "URL"}}}}
URL = SPEC["database"]["urlFrom"]
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"image": None}, "name the image either by spec.image or by spec.from, and not by both"),
    "two images": (
        {"from": {"deploymentRef": {"name": "api"}}},
        "name the image either by spec.image or by spec.from, and not by both",
    ),
    "empty image": ({"image": ""}, "spec.image: Invalid value"),
    "no database": ({"database": None}, 'missing required field "database"'),
    "no url": ({"database": {}}, 'missing required field "urlFrom"'),
    "empty source": (
        {"database": {"urlFrom": {}}},
        "give exactly one source for the URL, secretKeyRef or configMapKeyRef",
    ),
    "two sources": (
        {"database": {"urlFrom": {**URL, "configMapKeyRef": URL["secretKeyRef"]}}},
        "give exactly one source for the URL, secretKeyRef or configMapKeyRef",
    ),
    "two direct sources": (
        {"database": {"urlFrom": URL, "directUrlFrom": {**URL, "configMapKeyRef": URL["secretKeyRef"]}}},
        "give exactly one source for the URL, secretKeyRef or configMapKeyRef",
    ),
    "zero duration": ({"policy": {"lockTimeout": "0s"}}, "must be longer than nothing, such as 500ms, 10s or 1h30m"),
    "negative duration": ({"policy": {"deadline": "-1s"}}, "spec.policy.deadline: Invalid value"),
    "no unit": ({"policy": {"lockWait": "10"}}, "spec.policy.lockWait: Invalid value"),
    "mode": ({"mode": "Manual"}, 'supported values: "Auto", "Plan", "Approve"'),
    "destructive": ({"policy": {"destructive": "Ask"}}, 'supported values: "Allow", "Approve", "Deny"'),
    "ahead": ({"policy": {"onAhead": "Ignore"}}, 'supported values: "Tolerate", "Block"'),
    "indexes": ({"policy": {"invalidIndexes": "Keep"}}, 'supported values: "Report", "Drop"'),
    "variable": ({"database": {"urlFrom": URL, "env": "DATABASE-URL"}}, "spec.database.env: Invalid value"),
    "empty target": ({"target": ""}, "spec.target: Invalid value"),
    "gate twice": ({"gates": [{"deployment": "api"}, {"deployment": "api"}]}, ".spec.gates: duplicate entries"),
    "unknown field": ({"timeout": "10s"}, 'unknown field "timeout"'),
}


def bare(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    spec = {key: value for key, value in (SPEC | changes).items() if value is not None}
    return {"apiVersion": "landfall.dev/v1alpha1", "kind": "Migration", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_spec_is_refused_with_the_reason(stage: Namespace, unique: str, name: str) -> None:
    changes, words = BAD[name]
    with pytest.raises(ClusterError) as refused:
        stage.apply(bare(unique, changes), dry_run=True)
    assert words in str(refused.value)


def test_a_name_that_leaves_no_room_for_its_jobs_is_refused(stage: Namespace) -> None:
    with pytest.raises(ClusterError, match=r"metadata\.name"):
        stage.apply(bare("a" * 201, {}), dry_run=True)


@pytest.mark.parametrize(
    "database",
    [
        {"urlFrom": {"secretKeyRef": {"name": "another", "key": "URL"}}},
        {"urlFrom": {"configMapKeyRef": URL["secretKeyRef"]}},
        {"urlFrom": URL, "directUrlFrom": URL},
    ],
    ids=["another Secret", "another kind of source", "a direct URL"],
)
def test_the_database_of_a_migration_cannot_change(stage: Namespace, unique: str, database: dict[str, Any]) -> None:
    stage.apply(bare(unique, {"suspend": True}))
    with pytest.raises(ClusterError, match="the database of a Migration cannot change; make a new Migration"):
        stage.apply(bare(unique, {"suspend": True, "database": database}))


def test_the_last_ten_runs_are_kept_with_their_jobs_and_no_more(
    stage: Namespace, app_image: str, repeated: Future[list[dict[str, Any]]]
) -> None:
    first, *_, last = repeated.result()
    history = last["history"]
    assert len(history) == HISTORY
    assert first["history"][0]["job"] not in {entry["job"] for entry in history}
    for entry in history:
        assert (entry["image"], entry["imageDigest"]) == (app_image, last["imageDigest"])
        assert (entry["outcome"], entry["attempts"], entry["toRevision"]) == ("Succeeded", 1, "b2")
        assert entry["durationSeconds"] > 0
        assert entry["startedAt"]
    name = stage.get("job", history[0]["job"])["metadata"]["labels"]["landfall.dev/migration"]
    until(
        lambda: (
            {job["metadata"]["name"] for job in stage.list("job", labels=f"landfall.dev/migration={name}")}
            == {entry["job"] for entry in history}
        ),
        seconds=20,
        what="the Jobs are those of the history",
    )
