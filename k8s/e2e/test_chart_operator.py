"""The operator's chart alone, behind its NetworkPolicies. What it renders: charts/tests/test_operator.py."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster import RESTRICTED, ROOT, ClusterError, Namespace, run, until
from conftest import delete_namespace, make_namespace
from releases import SUBCHARTS, Release, Values
from stores import Store, bucket, bucket_names, keys
from test_howtos import commands

CHART = SUBCHARTS / "operator"
READER = {"reads": "metrics"}
NOWHERE = [{"podSelector": {"matchLabels": {"app": "no-such-store"}}}]
AWAY = {"StoreUnreachable", "StoreTimeout"}
READ = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode())"


def credential(name: str) -> dict[str, Any]:
    spec = {"secretName": name, "values": {"password": {"generate": {}}}}
    return {"apiVersion": "landfall.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec}


def idle(name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    """A pod of this image that waits for commands."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "idle", "image": image, "command": ["sleep", "infinity"], "securityContext": security}
    spec = {"containers": [container], "securityContext": RESTRICTED, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def values_of(image: str) -> Values:
    repository, _, tag = image.rpartition(":")
    return {"image": {"repository": repository, "tag": tag}}


@pytest.fixture(scope="module")
def chart(crds: None, operator_image: str) -> Iterator[Release]:
    """It may mark one Deployment, and reach no store that there is."""
    stage = make_namespace()
    narrow = {"gates": ["api"], "networkPolicy": {"egress": {"s3": {"to": NOWHERE}}}}
    try:
        release = Release(stage, chart=CHART, values=values_of(operator_image) | narrow)
        release.install()
        yield release
    finally:
        delete_namespace(stage)


@pytest.fixture(scope="module")
def clients(chart: Release, operator_image: str) -> Namespace:
    stage = chart.stage
    stage.apply(idle("reader", operator_image, READER), idle("stranger", operator_image, {}))
    stage.kubectl("wait", "--for=condition=Ready", "pod", "reader", "stranger", "--timeout=60s")
    return stage


def metrics(stage: Namespace, client: str) -> str:
    """What a client reads; empty where it is refused."""
    pods = stage.list("pod", labels="app.kubernetes.io/component=operator")
    (address,) = [pod["status"]["podIP"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    try:
        return stage.kubectl("exec", client, "--", "python3", "-c", READ, f"http://{address}:8080/metrics")
    except ClusterError:
        return ""


def may(stage: Namespace, account: str, *request: str, within: str = "") -> bool:
    """Whether a ServiceAccount of the stage may do something there, or in another namespace."""
    account = f"system:serviceaccount:{stage.name}:{account}"
    command = ("kubectl", "auth", "can-i", *request, "--as", account, "-n", within or stage.name)
    return run(*command, check=False).strip() == "yes"


def test_it_reaches_the_api_server_through_its_network_policies(chart: Release) -> None:
    chart.stage.apply(credential("reached"))
    assert chart.stage.settled("reached", kind="credential")["status"]["conditions"][0]["reason"] == "Ready"


def test_it_reaches_stores_only_where_its_values_say(chart: Release, minio: Store) -> None:
    minio.share(chart.stage)
    name = f"edge-{uuid.uuid4().hex[:6]}"
    chart.stage.apply(bucket(name, minio))
    until(lambda: ready_reason(chart.stage, name) in AWAY, seconds=60, what="the store is out of reach")
    chart.upgrade({"networkPolicy": {"egress": {"s3": {"to": []}}}})
    chart.stage.kubectl("annotate", "bucket", name, "landfall.dev/retry=1")
    chart.stage.told(name, "Ready")


def ready_reason(stage: Namespace, name: str) -> str:
    return str(stage.condition(name, "Ready", of="bucket")["reason"])


def test_metrics_are_read_by_those_who_are_named_and_by_nobody_else(chart: Release, clients: Namespace) -> None:
    assert metrics(clients, "reader") == ""
    chart.upgrade({"networkPolicy": {"metricsFrom": [{"podSelector": {"matchLabels": READER}}]}})
    until(lambda: "landfall_crd_outdated 0.0" in metrics(clients, "reader"), seconds=20, what="metrics are read")
    assert metrics(clients, "stranger") == ""


def test_an_upgrade_changes_the_operator_and_nothing_that_it_made(chart: Release) -> None:
    chart.stage.apply(credential("kept"))
    chart.stage.settled("kept", kind="credential")
    before = keys(chart.stage, "kept")
    chart.upgrade({"settings": {"logLevel": "DEBUG"}})
    container = chart.stage.get("deployment", "landfall-operator")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "LANDFALL_LOG_LEVEL", "value": "DEBUG"} in container["env"]
    chart.stage.apply(credential("after"))
    chart.stage.settled("after", kind="credential")
    same = keys(chart.stage, "kept") == before  # so that a failure shows no password
    assert same


ALLOWED = {"list migrations.landfall.dev", "get secret/any", "patch deployment/api --subresource=status"}
REFUSED = {"list secrets", "patch deployment/other --subresource=status", "patch deployment/api"}


@pytest.mark.parametrize("request_", sorted(ALLOWED | REFUSED))
def test_it_may_do_what_it_needs_in_its_own_namespace_only(chart: Release, request_: str) -> None:
    assert may(chart.stage, "landfall-operator", *request_.split()) is (request_ in ALLOWED)
    assert not may(chart.stage, "landfall-operator", *request_.split(), within="default")


def test_an_operator_of_the_cluster_may_do_it_in_every_namespace(chart: Release) -> None:
    """Its rights without its Deployment, which would serve all that is in this cluster."""
    stage, name = chart.stage, f"{chart.stage.name}-operator"
    text = chart.run("template", name, str(CHART), "--set", "scope=cluster").words
    rights = [body for body in yaml.safe_load_all(text) if body["kind"].startswith(("ClusterRole", "ServiceAccount"))]
    try:
        stage.apply(*rights)
        assert may(stage, name, "list", "migrations.landfall.dev", within="default")
        assert may(stage, name, "create", "jobs.batch", within="default")
        assert not may(stage, name, "list", "secrets", within="default")
    finally:
        stage.kubectl("delete", "clusterrole,clusterrolebinding", name)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_an_uninstall_ends_the_buckets_that_owe_a_deletion_or_says_why_not(
    helm: str, crds: None, operator_image: str, minio: Store
) -> None:
    stage = make_namespace()
    purged, full = (f"{name}-{stage.name[-6:]}" for name in ("purged", "full"))
    drained = values_of(operator_image) | {"drain": {"buckets": [purged, full]}}
    release = Release(stage, chart=CHART, helm=helm, values=drained)
    try:
        release.install()
        minio.share(stage)
        owed = (bucket(purged, minio, deletionPolicy="Purge"), bucket(full, minio, deletionPolicy="Delete"))
        stage.apply(*owed, credential("left"))
        stage.settled("left", kind="credential")
        with minio.client() as client:
            for name in (purged, full):
                stage.told(name, "Ready")
                client.put_object(Bucket=name, Key="there", Body=b"there")

            failed = release.run("uninstall", "landfall", "--timeout", "60s")
            assert failed.code
            assert f"Bucket {stage.name}/{full} is not gone. BucketNotEmpty: The bucket {full} is not" in failed.words
            assert stage.get("deployment", "landfall-operator")["status"]["readyReplicas"] == 1
            assert bucket_names(client, purged) == set()

            client.delete_object(Bucket=full, Key="there")
            release.uninstall(timeout="60s")
            assert bucket_names(client, full) == set()
        kinds = ("bucket,job,deployment,role,rolebinding,networkpolicy", "credential")
        left = [stage.kubectl("get", kind, "-o", "name").split() for kind in kinds]
        assert left == [[], ["credential.landfall.dev/left"]]
        assert json.loads(run("kubectl", "get", "crd", "buckets.landfall.dev", "-o", "json"))["kind"]
    finally:
        delete_namespace(stage)


def test_the_page_about_installing_goes_as_it_is_written(crds: None, operator_image: str) -> None:
    """But for the image's address, and for the way without Helm, which comes when Helm's is gone."""
    stage = make_namespace()
    image = values_of(operator_image)["image"]
    changes = {
        "registry.example/landfall-operator:0.1.0": operator_image,
        "registry.example/landfall-operator": image["repository"],
        "image.tag=0.1.0": f"image.tag={image['tag']}",
        "namespace shop": f"namespace {stage.name}",
    }
    _, install, rollout, _, without_helm, crd, upgrade, uninstall = commands("install.md")
    try:
        for step in (install, rollout, crd, upgrade, rollout, uninstall, without_helm, rollout):
            text = step
            for old, new in changes.items():
                text = text.replace(old, new)
            run("bash", "-euo", "pipefail", "-c", f"cd {ROOT} && {text}")
    finally:
        delete_namespace(stage)
