"""The other part of `make bench-operator`: Buckets, and what all three kinds cost together at rest."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from cluster import Namespace, condition, migration, until
from lightkube import Client
from lightkube.generic_resource import create_namespaced_resource
from measuring import REST_SECONDS, SAMPLES, at_rest, milliseconds, report, rss
from prometheus_client.parser import text_string_to_metric_families
from servers import Server
from stores import Store, access, bucket

RSS_SAMPLES = 30
KINDS = {
    kind: create_namespaced_resource("landfall.dev", "v1alpha1", kind, f"{kind.lower()}s")
    for kind in ("Migration", "Bucket", "Credential")
}


class ReadyTimes:
    """When each resource of a kind was first seen ready, by this process's clock."""

    def __init__(self, kind: str, namespace: str) -> None:
        self.at: dict[str, float] = {}
        self._client = Client()
        self._watch = self._client.watch(KINDS[kind], namespace=namespace)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for _, item in self._watch:
            body = item.to_dict()
            if condition(body, "Ready").get("status") == "True":
                self.at.setdefault(body["metadata"]["name"], time.monotonic())

    def wait(self, name: str, *, seconds: float = 60) -> float:
        return until(lambda: self.at.get(name), seconds=seconds, what=f"{name} is ready")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def secrets(stage: Namespace, server: Server) -> list[str]:
    return [database.secret for database in server.create(SAMPLES, namespace=stage)]


def credential(name: str) -> dict[str, Any]:
    values = {"user": {"value": "app"}, "password": {"generate": {}}}
    templates = {"DATABASE_URL": "postgresql://{{user}}:{{password}}@pg:5432/app"}
    spec = {"secretName": name, "values": values, "templates": templates}
    return {"apiVersion": "landfall.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec}


def create(client: Client, stage: Namespace, body: dict[str, Any]) -> float:
    """The moment before."""
    body["metadata"]["namespace"] = stage.name
    at = time.monotonic()
    client.create(KINDS[body["kind"]].from_dict(body))
    return at


def s3_requests(store: Store) -> float:
    """All that the server has answered, its admin API included."""
    with store.forward() as address, urllib3.PoolManager() as pool:
        text = pool.request("GET", f"http://{address}/minio/v2/metrics/node").data.decode()
    families = text_string_to_metric_families(text)
    counted = [s.value for family in families for s in family.samples if s.name == "minio_s3_requests_total"]
    return sum(counted)


def test_a_bucket_is_ready_soon(stage: Namespace, client: Client, minio: Store) -> None:
    times = ReadyTimes("Bucket", stage.name)
    create(client, stage, bucket("bench-first", minio))
    times.wait("bench-first")
    report("RSS with the S3 libraries", f"{rss(stage):.1f} MiB", "")
    for modes in ((), ("ReadWrite",)):
        delays = []
        for number in range(SAMPLES // 2):
            name = f"bench-{len(modes)}-{number}"
            created = create(client, stage, bucket(name, minio, access=access(*modes, prefix=name)))
            delays.append(times.wait(name) - created)
        report(f"Bucket with {len(modes)} access created → Ready", milliseconds(delays), "p50 ≤ 1 s")


def test_a_credential_is_ready_soon(stage: Namespace, client: Client) -> None:
    times = ReadyTimes("Credential", stage.name)
    delays = []
    for number in range(SAMPLES):
        created = create(client, stage, credential(f"bench-{number}"))
        delays.append(times.wait(f"bench-{number}") - created)
    report("Credential created → Ready", milliseconds(delays), "")


def test_three_hundred_at_rest(
    stage: Namespace, client: Client, minio: Store, secrets: list[str], app_image: str
) -> None:
    """After the two above: a hundred Buckets and a hundred Credentials are there."""
    times = ReadyTimes("Migration", stage.name)
    for number, secret in enumerate(secrets):
        create(client, stage, migration(f"bench-{number}", case="plain", image=app_image, secret=secret))
    for number in range(SAMPLES):
        times.wait(f"bench-{number}", seconds=1800)
    counts = ", ".join(f"{len(stage.list(kind))} {kind}s" for kind in KINDS)
    report(f"RSS with {counts}, after the burst", f"{rss(stage):.1f} MiB", "≤ 120 MiB")
    before = s3_requests(minio)
    at_rest(stage)
    asked = (s3_requests(minio) - before) * 60 / REST_SECONDS / SAMPLES
    report("S3 requests at rest, a minute and Bucket", f"{asked:.2f}", "≤ 1")
    # Not one: a look at an account takes 64 MiB for a moment.
    samples = []
    for _ in range(RSS_SAMPLES):
        samples.append(rss(stage))
        time.sleep(2)
    report("RSS at rest", f"{statistics.median(samples):.1f} MiB, at most {max(samples):.1f}", "≤ 120 MiB")
