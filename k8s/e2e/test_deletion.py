"""Everything can be deleted, in any order and at any time: nothing hangs, and the database is left in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cluster import Namespace, condition, migration, run, until
from life import OPERATOR, wait_until_up
from servers import Database, Server

TARGET = "s06"  # seven revisions of two seconds
GONE_SECONDS = 60
ONCE = "SELECT count(*) = count(DISTINCT revision), max(revision) FROM audit"
# The CRD is the cluster's, and others use it: it stays.
OPERATOR_PARTS = ("deployment", "serviceaccount", "role", "rolebinding")
KINDS = "migrations,jobs,pods,configmaps,secrets,deployments,serviceaccounts,roles,rolebindings"
ORDERS = {
    "the operator's rights first": ("role", "rolebinding", "serviceaccount", "deployment", "migration", "secret"),
    "the operator first": ("deployment", "role", "rolebinding", "serviceaccount", "secret", "migration"),
    "the Migrations first": ("migration", "secret", "deployment", "role", "rolebinding", "serviceaccount"),
    "the Secrets first": ("secret", "job", "configmap", "migration", "deployment", "rolebinding", "role"),
}

MakeStages = Callable[[int], list[Namespace]]


def running(stage: Namespace, of: Database, image: str) -> None:
    """Begin a migration; come back when a revision of it runs."""
    begin(stage, of, image, "runs")
    until_running(of)


def begin(stage: Namespace, of: Database, image: str, name: str, **spec: Any) -> None:
    stage.apply(migration(name, case="slow", image=image, secret=of.secret, target=TARGET, **spec))


def until_running(database: Database) -> None:
    query = "SELECT count(*) FROM pg_class WHERE relname = 'audit'"
    until(lambda: database.sql(query) == "1", seconds=60, what=f"a revision runs in {database.name}")


def foreign_finalizers(stage: Namespace) -> list[str]:
    """Ours, on anything; and anybody's on a Migration."""
    found = []
    for body in stage.list(KINDS):
        names = body["metadata"].get("finalizers") or []
        ours = body["kind"] == "Migration" or any("landfall" in name for name in names)
        found += [f"{body['kind']}/{body['metadata']['name']}: {name}" for name in names if ours]
    return found


def leftovers(stage: Namespace) -> list[str]:
    """What the namespace holds, but for what Kubernetes puts into each."""
    names = stage.kubectl("get", KINDS, "-o", "name").split()
    return [name for name in names if name not in {"configmap/kube-root-ca.crt", "serviceaccount/default"}]


def resume_elsewhere(elsewhere: Namespace, database: Database, image: str) -> None:
    """What was interrupted converges under another Migration in another namespace."""
    database.share(elsewhere)
    begin(elsewhere, database, image, "again", database={"takeOver": True})
    body = elsewhere.settled("again", seconds=90)
    assert condition(body, "Ready")["status"] == "True", condition(body, "Ready")["message"]
    assert database.sql(ONCE) == f"t|{TARGET}"


def test_a_namespace_that_is_deleted_during_a_run_goes_and_the_database_can_go_on(
    own_stage: Namespace, stage: Namespace, server: Server, app_image: str
) -> None:
    database = server.create(1, namespace=own_stage)[0]
    running(own_stage, database, app_image)
    assert foreign_finalizers(own_stage) == []
    run("kubectl", "delete", "namespace", own_stage.name, f"--timeout={GONE_SECONDS}s")
    resume_elsewhere(stage, database, app_image)
    stage.kubectl("delete", "migration", "again", "--wait=false")


def test_migrations_deleted_while_the_operator_is_away_leave_nothing(
    own_stage: Namespace, server: Server, app_image: str
) -> None:
    interrupted, shared = server.create(2, namespace=own_stage)
    own_stage.apply(migration("owner", case="plain", image=app_image, secret=shared.secret))
    own_stage.settled("owner")
    own_stage.apply(migration("heir", case="plain", image=app_image, secret=shared.secret))
    own_stage.settled("heir")
    running(own_stage, interrupted, app_image)
    own_stage.kubectl("scale", OPERATOR, "--replicas=0")
    own_stage.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=landfall-operator", "--timeout=30s")
    own_stage.kubectl("delete", "migration", "owner", "runs", "--timeout=10s")

    def left() -> set[str]:
        return {
            body["metadata"]["labels"]["landfall.dev/migration"] for body in own_stage.list("jobs,pods") if ours(body)
        }

    until(lambda: left() == {"heir"}, seconds=GONE_SECONDS, what="the deleted Migrations' Jobs and Pods go")
    assert condition(own_stage.get("migration", "heir"), "Ready")["reason"] == "Conflict"

    own_stage.kubectl("scale", OPERATOR, "--replicas=1")
    wait_until_up(own_stage)
    own_stage.kubectl("wait", "--for=condition=Ready", "migration/heir", "--timeout=60s")
    begin(own_stage, interrupted, app_image, "runs")
    assert condition(own_stage.settled("runs", seconds=90), "Ready")["status"] == "True"
    assert interrupted.sql(ONCE) == f"t|{TARGET}"


def ours(body: dict[str, Any]) -> bool:
    return "landfall.dev/migration" in (body["metadata"].get("labels") or {})


def test_everything_can_be_deleted_in_any_order_and_nothing_is_left(
    make_stages: MakeStages, stage: Namespace, server: Server, app_image: str
) -> None:
    stages = dict(zip(ORDERS, make_stages(len(ORDERS)), strict=True))
    databases = {order: server.create(1, namespace=here)[0] for order, here in stages.items()}
    for order, here in stages.items():
        begin(here, databases[order], app_image, "runs")
        here.apply(migration("planned", case="slow", image=app_image, secret=databases[order].secret, mode="Plan"))
    for order, here in stages.items():
        until_running(databases[order])
        assert foreign_finalizers(here) == []
        for kind in ORDERS[order]:
            here.kubectl("delete", kind, "--all", "--wait=false")
        here.kubectl("delete", ",".join(OPERATOR_PARTS), "--all", "--wait=false")
    for order, here in stages.items():
        until(lambda here=here: not leftovers(here), seconds=GONE_SECONDS, what=f"all is gone, {order}")  # type: ignore[misc]
    for order in ORDERS:
        databases[order].share(stage)
        begin(stage, databases[order], app_image, f"again-{list(ORDERS).index(order)}", database={"takeOver": True})
    bodies = stage.all_settled("again-")
    assert {condition(body, "Ready")["reason"] for body in bodies.values()} == {"UpToDate"}
    assert {order: database.sql(ONCE) for order, database in databases.items()} == dict.fromkeys(ORDERS, f"t|{TARGET}")
    stage.kubectl("delete", "migration", *bodies, "--wait=false")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_a_migration_goes_at_once_by_every_kind_of_deletion(
    stage: Namespace, database: Database, app_image: str, unique: str, cascade: str
) -> None:
    """`orphan` leaves the Jobs, which keep their logs; a new Migration of the name is not confused by them."""
    wanted = migration(unique, case="plain", image=app_image, secret=database.secret)
    stage.apply(wanted)
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    stage.kubectl("delete", "migration", unique, f"--cascade={cascade}", "--timeout=20s")
    stage.apply(wanted)
    assert condition(stage.settled(unique), "Ready")["reason"] == "UpToDate"
    stage.kubectl("delete", "job", "-l", f"landfall.dev/migration={unique}", "--wait=false")


@pytest.mark.parametrize(
    ("case", "spec", "reason"),
    [("failing", {}, "StatementFailed"), ("plain", {"mode": "Approve"}, "ApprovalNeeded")],
)
def test_a_cleaned_up_pod_does_not_make_a_settled_migration_run_again(
    stage: Namespace, database: Database, app_image: str, unique: str, case: str, spec: dict[str, Any], reason: str
) -> None:
    """Finished pods are cleaned up by people, by cron jobs and by the cluster itself."""
    stage.apply(migration(unique, case=case, image=app_image, secret=database.secret, **spec))
    assert condition(stage.settled(unique), "Ready")["reason"] == reason
    learnt = "lineageSha256"  # read from the pod's log after the verdict is told
    before = until(lambda: with_status(stage, unique, learnt), seconds=10, what="the image's revisions are known")
    stage.kubectl("delete", "pod", "-l", f"landfall.dev/migration={unique}")
    stage.kubectl("annotate", "migration", unique, "anything=else")
    other = f"{unique}-b"
    stage.apply(migration(other, case=case, image=app_image, secret=database.secret, suspend=True))
    stage.settled(other)
    assert stage.get("migration", unique)["status"] == before["status"]
    assert len(stage.list("job", labels=f"landfall.dev/migration={unique}")) == 1


def with_status(stage: Namespace, name: str, field: str) -> dict[str, Any] | None:
    body = stage.get("migration", name)
    return body if field in body["status"] else None
