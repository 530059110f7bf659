"""The MinIO chart alone, beside an operator, in a namespace that enforces the restricted profile."""

from __future__ import annotations

import base64
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from cluster import RESTRICTED, ROOT, ClusterError, Namespace, run, until
from conftest import delete_namespace, install_operator, make_namespace, wait_for_operator
from credentials import hashes
from releases import SUBCHARTS, Release, Values
from stores import access, retried

PAGE = ROOT / "docs/how-to/charts/object-store.md"
NAME = "landfall-minio"
CLIENT = {f"{NAME}-client": "true"}
OPERATOR = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "landfall-operator"}}}
RECOVERS_WITHIN_SECONDS = 10
CONNECT = f"""
import socket
try:
    socket.create_connection(("{NAME}", 9000), timeout=3)
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""
S3 = """
import os, sys, time
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
options = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
s3, bucket = boto3.client("s3", region_name=os.environ["AWS_REGION"], config=options), os.environ["BUCKET_NAME"]
def say(*words):
    print(*words, flush=True)
for _ in range(100):  # NetworkPolicies know of a new pod a moment after it starts
    try:
        s3.head_bucket(Bucket=bucket)
        break
    except (BotoCoreError, ClientError):
        time.sleep(0.2)
"""
WRITE = f"""{S3}
for number in range(100_000):
    try:
        s3.put_object(Bucket=bucket, Key=f"{{number:06}}", Body=f"{{number:06}}" * 200)
    except (BotoCoreError, ClientError):
        say("refused")
    else:
        say("stored", f"{{number:06}}")
    time.sleep(0.02)
"""
READ = f"""{S3}
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    for entry in page.get("Contents", []):
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
        say("read" if body == entry["Key"] * 200 else "damaged", entry["Key"])
"""
METRICS = """
import ssl, urllib.request
context = ssl.create_default_context(cafile="/ca/ca.crt")
context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the tests' certificates are short ones
url = "https://secure-minio.{}.svc:9000/minio/v2/metrics/cluster"
print(urllib.request.urlopen(url, context=context, timeout=5).read().decode()[:4000])
"""


def values(minio_image: str, operator_image: str) -> Values:
    """The images at hand; this operator is no part of the release, so it has no label that lets it in."""
    (repository, _, tag), (tester, _, tester_tag) = minio_image.rpartition(":"), operator_image.rpartition(":")
    return {
        "image": {"repository": repository, "tag": tag},
        "command": "silo" if "silo" in repository else "minio",
        "test": {"image": {"repository": tester, "tag": tester_tag}},
        "networkPolicy": {"extraIngress": [OPERATOR]},
        "resources": {"requests": {"cpu": "10m"}},  # a local node has little to give away
    }


@pytest.fixture(scope="module")
def place(crds: None, operator_image: str) -> Iterator[Namespace]:
    """A namespace of this file's own, with an operator."""
    here = make_namespace()
    try:
        install_operator(here, operator_image)
        wait_for_operator(here)
        yield here
    finally:
        delete_namespace(here)


@pytest.fixture(scope="module")
def store(place: Namespace, minio_image: str, operator_image: str) -> Release:
    """The store that these tests share; each leaves it running."""
    made = Release(place, chart=SUBCHARTS / "minio", values=values(minio_image, operator_image))
    made.install(timeout="90s")
    return made


@pytest.fixture(scope="module")
def bucket(place: Namespace, store: Release) -> str:
    """A Bucket on the store, and the Secret of its name with keys for it."""
    address = {
        "endpoint": f"http://{NAME}.{place.name}.svc:9000",
        "region": "us-east-1",
        "credentialsSecretRef": {"name": f"{NAME}-root"},
    }
    spec = {"bucketName": "media", "store": address, "access": access("ReadWrite", prefix="media")}
    body = {"apiVersion": "landfall.dev/v1alpha1", "kind": "Bucket", "metadata": {"name": "media"}, "spec": spec}
    place.apply(body)
    place.told("media", "Ready")
    return "media"


@pytest.fixture
def typed(place: Namespace, tmp_path: Path) -> Callable[[str], None]:
    """Type what the page shows under a heading, in this namespace."""
    path = str(shutil.copy(os.environ["KUBECONFIG"], tmp_path / "kubeconfig"))
    run("kubectl", "--kubeconfig", path, "config", "set-context", "--current", "--namespace", place.name)
    plugins = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where kubectl finds kubectl-landfall

    def type_(heading: str) -> None:
        section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        lines = [line[2:] for line in section.splitlines() if line.startswith("$ ")]
        assert lines
        run("env", f"KUBECONFIG={path}", f"PATH={plugins}", "bash", "-euc", f"cd {ROOT}\n" + "\n".join(lines))

    return type_


class Client:
    """A pod that runs a script of Python; its output is its log."""

    def __init__(
        self, place: Namespace, image: str, script: str, *, secret: str = "", ca: str = "", **labels: str
    ) -> None:
        self._place = place
        self.name = f"client-{uuid.uuid4().hex[:6]}"
        container: dict[str, Any] = {
            "name": "client",
            "image": image,
            "command": ["python3", "-c", script],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": RESTRICTED,
            "containers": [container],
        }
        if secret:
            container["envFrom"] = [{"secretRef": {"name": secret}}]
        if ca:
            container["volumeMounts"] = [{"name": "ca", "mountPath": "/ca"}]
            spec["volumes"] = [{"name": "ca", "secret": {"secretName": ca}}]
        metadata = {"name": self.name, "labels": {key.replace("_", "-"): value for key, value in labels.items()}}
        place.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def lines(self, word: str) -> list[str]:
        """What stands behind this word in each line that begins with it; nothing yet before the pod runs."""
        log = self._place.kubectl("logs", self.name, check=False)
        return [line.partition(" ")[2] for line in log.splitlines() if line.split(" ")[0] == word]

    def output(self) -> str:
        """All of it, when the script has ended."""
        ended = ("Succeeded", "Failed")
        until(
            lambda: self._place.get("pod", self.name)["status"].get("phase") in ended,
            seconds=60,
            what=f"{self.name} ends",
        )
        log = self._place.kubectl("logs", self.name)
        self.delete()
        return log

    def delete(self) -> None:
        self._place.kubectl("delete", "pod", self.name, "--wait=false", "--force", "--grace-period=0")


def server(place: Namespace) -> dict[str, Any] | None:
    """The store's pod, when it is ready."""
    found = [pod for pod in place.list("pod") if pod["metadata"]["name"] == f"{NAME}-0"]
    if not found or "deletionTimestamp" in found[0]["metadata"]:
        return None
    conditions = {c["type"]: c["status"] for c in found[0]["status"].get("conditions", [])}
    return found[0] if conditions.get("Ready") == "True" else None


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_helm_test_tries_what_buckets_need(store: Release, helm: str) -> None:
    outcome = Release(store.stage, chart=store.chart, helm=helm).test()

    assert "delete a bucket                  yes" in outcome.words


def test_the_root_keys_are_not_in_the_release_or_the_log(place: Namespace, store: Release) -> None:
    secret = base64.b64decode(place.get("secret", f"{NAME}-root")["data"]["AWS_SECRET_ACCESS_KEY"]).decode()
    printed = store.run("get", "all", NAME.removesuffix("-minio")).words + place.kubectl("logs", f"{NAME}-0")

    assert secret not in printed
    assert len(secret) == 40


def test_clients_get_in_by_their_label_alone(place: Namespace, store: Release, operator_image: str) -> None:
    labelled = Client(place, operator_image, CONNECT, **CLIENT)
    other = Client(place, operator_image, CONNECT)

    assert labelled.output().strip() == "connected"
    assert other.output().strip() == "TimeoutError"


@pytest.mark.alone
def test_a_killed_pod_loses_no_acknowledged_write(place: Namespace, bucket: str, operator_image: str) -> None:
    writer = Client(place, operator_image, WRITE, secret=f"{bucket}-readwrite", **CLIENT)
    until(lambda: len(writer.lines("stored")) > 100, seconds=60, what="100 objects are stored")
    killed = place.get("pod", f"{NAME}-0")["metadata"]["uid"]

    def serves_again() -> bool:
        pod = server(place)
        return bool(pod and pod["metadata"]["uid"] != killed and writer.lines("refused") and stored_since())

    def stored_since() -> bool:
        log = place.kubectl("logs", writer.name).splitlines()
        return "refused" in log and log[-1].startswith("stored")

    begun = time.monotonic()
    place.kubectl("delete", "pod", f"{NAME}-0", "--force", "--grace-period=0", "--wait=false")
    until(serves_again, seconds=60, what="the store serves again")
    took = time.monotonic() - begun
    stored = set(writer.lines("stored"))
    writer.delete()

    output = Client(place, operator_image, READ, secret=f"{bucket}-readwrite", **CLIENT).output().splitlines()
    assert stored - {line.removeprefix("read ") for line in output} == set()
    assert took < RECOVERS_WITHIN_SECONDS


def test_new_root_keys_count_from_a_restart_on(
    place: Namespace, store: Release, bucket: str, typed: Callable[[str], None]
) -> None:
    before = hashes(place, f"{NAME}-root")
    typed("Give the root account a new key")
    after = hashes(place, f"{NAME}-root")

    assert before["AWS_SECRET_ACCESS_KEY"] != after["AWS_SECRET_ACCESS_KEY"]
    assert before["AWS_ACCESS_KEY_ID"] == after["AWS_ACCESS_KEY_ID"]
    retried(place, bucket)
    place.told(bucket, "Ready")


def test_after_an_image_that_is_missing_the_next_upgrade_heals(place: Namespace, store: Release) -> None:
    store.try_upgrade({"image": {"tag": "missing"}}, wait=False)

    def waiting() -> str:
        # The StatefulSet deletes the old pod before it makes the new one: for a moment there is none.
        pods = [pod for pod in place.list("pod") if pod["metadata"]["name"] == f"{NAME}-0"]
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        return "".join(status["state"].get("waiting", {}).get("message", "") for status in statuses)

    until(lambda: ":missing" in waiting(), seconds=60, what="the pod says which image is missing")
    store.upgrade(timeout="60s")
    assert server(place)


def test_a_changed_volume_size_is_refused_until_the_stateful_set_is_made_anew(
    place: Namespace, store: Release, typed: Callable[[str], None]
) -> None:
    before = place.get("persistentvolumeclaim", f"data-{NAME}-0")["metadata"]["uid"]

    refused = store.try_upgrade({"persistence": {"size": "20Gi"}})
    typed("Give it a larger volume")
    place.kubectl("rollout", "status", f"statefulset/{NAME}", "--timeout=60s")

    assert refused.code != 0
    assert "updates to statefulset spec" in refused.words
    assert place.get("persistentvolumeclaim", f"data-{NAME}-0")["metadata"]["uid"] == before
    place.kubectl("delete", "statefulset", NAME, "--cascade=orphan")
    store.upgrade()


def test_a_reinstall_finds_its_objects_and_keys(
    place: Namespace, store: Release, bucket: str, operator_image: str
) -> None:
    script = S3 + 's3.put_object(Bucket=bucket, Key="kept", Body="kept" * 200)'
    Client(place, operator_image, script, secret=f"{bucket}-readwrite", **CLIENT).output()
    before = hashes(place, f"{NAME}-root")

    store.uninstall()
    with pytest.raises(ClusterError, match="not found"):
        place.get("statefulset", NAME)
    store.install(timeout="60s")

    output = Client(place, operator_image, READ, secret=f"{bucket}-readwrite", **CLIENT).output()
    assert "read kept" in output.splitlines()
    assert hashes(place, f"{NAME}-root") == before


def test_it_speaks_tls_and_tells_its_metrics_by_helm_3(place: Namespace, store: Release, operator_image: str) -> None:
    authority = Authority.new()
    certificate, key = authority.certify(f"secure-minio.{place.name}.svc")
    files = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.pem}
    place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secure-tls"}, "stringData": files})
    wanted: Values = {
        "tls": {"enabled": True, "secretName": "secure-tls"},
        "metrics": {"enabled": True},
        "console": {"enabled": True},
        "persistence": {"enabled": False, "size": "1Gi"},
        "networkPolicy": {"metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
    }
    secure = Release(place, "secure", store.chart, "helm3", {**store.values, **wanted})

    secure.install(timeout="60s")
    outcome = secure.test()
    script = METRICS.format(place.name)
    metrics = Client(place, operator_image, script, ca="secure-tls", app="prometheus").output()
    secure.uninstall()

    assert "delete a bucket                  yes" in outcome.words
    assert "minio_" in metrics
