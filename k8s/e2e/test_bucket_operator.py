"""The operator's life with Buckets: killed while it makes them, a store that hangs, and deletions in any order."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cluster import Namespace, condition, migration, run, until
from conftest import MakeStages, installed
from life import OPERATOR, Killer, ask, pace, wait_until_up
from servers import Server
from stores import Store, access, access_keys, bucket, bucket_names, key_id, users

BUCKETS = 30
KILLS = 20
LATER_SECONDS = 0.07  # each kill comes so much later after the Buckets than the one before
HANGS_SECONDS = 60
HANGING = 100
MARGIN_SECONDS = 3.0
GONE_SECONDS = 60
CLEARED_SECONDS = 75
RELEASE = '{"metadata": {"finalizers": null}}'
KINDS = "buckets,configmaps,secrets,deployments,serviceaccounts,roles,rolebindings"
OPERATOR_PARTS = ("deployment", "serviceaccount", "role", "rolebinding")
ORDERS = {
    "the operator's rights first": ("role", "rolebinding", "serviceaccount", "deployment", "bucket", "secret"),
    "the operator first": ("deployment", "role", "rolebinding", "serviceaccount", "secret", "bucket"),
    "the Buckets first": ("bucket", "secret", "configmap", "deployment", "role", "rolebinding", "serviceaccount"),
    "the Secrets first": ("secret", "configmap", "bucket", "deployment", "rolebinding", "role", "serviceaccount"),
}


def test_an_operator_killed_while_it_makes_buckets_makes_each_once(own_stage: Namespace, minio: Store) -> None:
    minio.share(own_stage)
    prefix = f"k{own_stage.name[-6:]}-"
    names = [f"{prefix}{number:02}" for number in range(BUCKETS)]
    killer = Killer(own_stage)
    killer.prepare()
    waiting = list(names)
    for number in range(KILLS):
        wait_until_up(own_stage)
        count = 2 if number < KILLS // 2 else 1
        some, waiting = waiting[:count], waiting[count:]
        own_stage.apply(*(bucket(name, minio, access=access("ReadWrite", prefix=name)) for name in some))
        pace(time.monotonic() + number * LATER_SECONDS)
        killer.strike()
    bodies = own_stage.all_settled(prefix, kind="bucket", seconds=120)
    assert {condition(body, "Ready")["reason"] for body in bodies.values()} == {"Ready"}
    assert {body["status"]["origin"] for body in bodies.values()} == {"Created"}
    held = {name: {key_id(own_stage, f"{name}-readwrite")} for name in names}
    # What a deleted pod's process asked for as its successor looked is cleared by the next look.
    until(
        lambda: {name: access_keys(minio, name) for name in names} == held,
        seconds=CLEARED_SECONDS,
        what="each Bucket has the one key that its Secret holds",
    )
    assert {user for user in users(minio) if prefix in user} == {f"landfall-{name}" for name in names}
    with minio.client() as client:
        assert bucket_names(client, prefix) == set(names)
        for name, body in bodies.items():
            tags = {tag["Key"]: tag["Value"] for tag in client.get_bucket_tagging(Bucket=name)["TagSet"]}
            assert tags["landfall.dev/uid"] == body["metadata"]["uid"]


def ready_after(stage: Namespace, kind: str, body: dict[str, Any]) -> float:
    """Seconds from its creation until it is ready."""
    began = time.monotonic()
    stage.apply(body)
    stage.kubectl("wait", "--for=condition=Ready", f"{kind}/{body['metadata']['name']}", "--timeout=120s")
    return time.monotonic() - began


@pytest.mark.alone
def test_a_store_that_hangs_delays_nobody_else_and_is_caught_up_with(
    own_stage: Namespace, own_minio: Store, minio: Store, server: Server, app_image: str
) -> None:
    minio.share(own_stage)
    own_minio.share(own_stage)
    prefix = f"h{own_stage.name[-6:]}-"
    databases = server.create(3, namespace=own_stage)

    def others(turn: int) -> tuple[float, float]:
        wanted = migration(f"m{turn}", case="plain", image=app_image, secret=databases[turn].secret)
        beside = bucket(f"o{turn}-{own_stage.name[-6:]}", minio, access=access("ReadOnly", prefix=f"o{turn}"))
        return ready_after(own_stage, "migration", wanted), ready_after(own_stage, "bucket", beside)

    own_stage.apply(*(bucket(f"{prefix}{number:03}", own_minio) for number in range(HANGING)))
    bodies = own_stage.all_settled(prefix, kind="bucket", seconds=60)
    assert {condition(body, "Ready")["reason"] for body in bodies.values()} == {"Ready"}
    before = others(0)
    own_minio.hang()
    hung = time.monotonic()
    try:
        own_stage.kubectl("annotate", "bucket", *bodies, "landfall.dev/retry=hung")
        during = [others(1), others(2)]
        assert json.loads(ask(own_stage, "healthz"))["status"] == "ok"
        told = until(lambda: timed_out(own_stage, prefix), seconds=HANGS_SECONDS, what="some say StoreTimeout")
        pace(hung + HANGS_SECONDS)
        assert json.loads(ask(own_stage, "healthz"))["status"] == "ok"
    finally:
        own_minio.go_on()
    assert "does not answer in time" in told
    for seconds, usual in zip(map(max, zip(*during, strict=True)), before, strict=True):
        assert seconds < usual + MARGIN_SECONDS

    def caught_up() -> bool:
        found = [body for body in own_stage.list("bucket") if body["metadata"]["name"].startswith(prefix)]
        return all(
            body["status"].get("retriedFor") == "hung" and condition(body, "Ready")["status"] == "True"
            for body in found
        )

    until(caught_up, seconds=60, what="all Buckets are ready again")


def timed_out(stage: Namespace, prefix: str) -> str:
    """What the first of those says that has found the store hanging."""
    found = (condition(body, "Ready") for body in stage.list("bucket") if body["metadata"]["name"].startswith(prefix))
    return next((ready["message"] for ready in found if ready["reason"] == "StoreTimeout"), "")


def policies(stage: Namespace, on: Store, prefix: str, *, full: bool = False) -> dict[str, str]:
    """A Bucket for each policy, ready; their names by policy."""
    names = {policy: f"{prefix}-{policy.lower()}" for policy in ("Retain", "Delete", "Purge")}
    stage.apply(
        *(
            bucket(name, on, deletionPolicy=policy, access=access("ReadWrite", prefix=name))
            for policy, name in names.items()
        )
    )
    for name in names.values():
        stage.told(name, "Ready")
    if full:
        with on.client() as client:
            for name in names.values():
                client.put_object(Bucket=name, Key="there", Body=b"there")
    return names


def are_gone(stage: Namespace, *names: str) -> bool:
    return not set(names) & {body["metadata"]["name"] for body in stage.list("bucket")}


def test_buckets_deleted_while_the_operator_is_away_go_when_it_is_back(own_stage: Namespace, minio: Store) -> None:
    minio.share(own_stage)
    names = policies(own_stage, minio, f"down{own_stage.name[-6:]}", full=True)
    released = bucket(f"free{own_stage.name[-6:]}", minio, deletionPolicy="Delete")
    own_stage.apply(released)
    own_stage.told(released["metadata"]["name"], "Ready")
    own_stage.kubectl("scale", OPERATOR, "--replicas=0")
    own_stage.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=landfall-operator", "--timeout=30s")
    own_stage.kubectl("delete", "bucket", names["Retain"], "--timeout=10s")
    owing = (names["Delete"], names["Purge"], released["metadata"]["name"])
    own_stage.kubectl("delete", "bucket", "--wait=false", *owing)
    assert {body["metadata"]["name"] for body in own_stage.list("bucket")} == set(owing)
    own_stage.kubectl("patch", "bucket", owing[2], "--type=merge", "-p", RELEASE)
    until(lambda: are_gone(own_stage, owing[2]), seconds=10, what="the remedy lets a Bucket go with no operator")
    own_stage.kubectl("scale", OPERATOR, "--replicas=1")
    wait_until_up(own_stage)
    until(lambda: are_gone(own_stage, names["Purge"]), seconds=GONE_SECONDS, what="the purged Bucket goes")
    own_stage.told(names["Delete"], "BucketNotEmpty")
    with minio.client() as client:
        assert bucket_names(client, names["Retain"][:-7]) == {names["Retain"], names["Delete"]}


def test_a_namespace_that_is_deleted_goes_with_its_buckets_whether_its_store_stays_or_not(
    make_stages: MakeStages, minio: Store, minio_image: str
) -> None:
    """The operator, its rights, the Secrets and the store within go in whichever order."""
    outside, inside = make_stages(2)
    minio.share(outside)
    within = installed(inside, "within", "minio", minio_image)
    names = policies(outside, minio, f"out{outside.name[-6:]}")
    policies(inside, within, "in")
    for stage in (outside, inside):
        run("kubectl", "delete", "namespace", stage.name, "--wait=false")
    for stage in (outside, inside):
        until(lambda stage=stage: ended(stage), seconds=GONE_SECONDS, what=f"{stage.name} is gone")  # type: ignore[misc]
    with minio.client() as client:
        assert names["Retain"] in bucket_names(client, names["Retain"])


def ended(stage: Namespace) -> bool:
    """Gone, by the documented remedy where the operator went before what it owed was done."""
    owing = stage.kubectl("get", "bucket", "-o", "name", check=False).split()
    if owing and not stage.list("pod"):
        stage.kubectl("patch", *owing, "--type=merge", "-p", RELEASE, check=False)
    return not run("kubectl", "get", "namespace", stage.name, "--ignore-not-found")


def test_everything_can_be_deleted_in_any_order_and_nothing_is_left(make_stages: MakeStages, minio: Store) -> None:
    stages = dict(zip(ORDERS, make_stages(len(ORDERS)), strict=True))
    for stage in stages.values():
        minio.share(stage)
        policies(stage, minio, f"any{stage.name[-6:]}")
    for order, stage in stages.items():
        for kind in ORDERS[order]:
            stage.kubectl("delete", kind, "--all", "--wait=false")
        stage.kubectl("delete", ",".join(OPERATOR_PARTS), "--all", "--wait=false")
    for order, stage in stages.items():
        until(lambda stage=stage: not leftovers(stage), seconds=GONE_SECONDS, what=f"all is gone, {order}")  # type: ignore[misc]


def leftovers(stage: Namespace) -> list[str]:
    """What the namespace holds, but for what Kubernetes puts into each, and after the documented remedy."""
    names = stage.kubectl("get", KINDS, "-o", "name").split()
    owing = [name for name in names if name.startswith("bucket")]
    if owing and not stage.list("pod"):
        stage.kubectl("patch", *owing, "--type=merge", "-p", RELEASE, check=False)
    return [name for name in names if name not in {"configmap/kube-root-ca.crt", "serviceaccount/default"}]
