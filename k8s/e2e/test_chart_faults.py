"""One release of the umbrella chart: who reaches whom, what is applied again, rotated or killed under load."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import RESTRICTED, Namespace, condition, run, until
from conftest import delete_namespace, make_namespace
from credentials import held
from load import Load, LoadReport, User, create_user
from releases import Release
from umbrella import API, POSTGIS, Landfall, watched

RECOVERY_SECONDS = 10
ROWS = 300_000
# Until the kubelet gives the server's pod the Secret's new content.
ROTATION_SECONDS = 150
PLUGIN = Path(sys.executable).with_name("kubectl-landfall")

CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print(address, "open")
    except OSError:
        print(address, "closed")
"""
# When the answer of /readyz changed, and which checks failed from then on.
WATCH = """
import json, time, urllib.error, urllib.request
said = None
while True:
    try:
        answer = urllib.request.urlopen("http://127.0.0.1:8000/readyz", timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    failing = sorted(name for name, check in json.load(answer)["checks"].items() if not check["ready"])
    if failing != said:
        said = failing
        print(json.dumps([time.time(), failing]), flush=True)
    time.sleep(0.05)
"""
S3 = """
import os, sys, time, boto3, botocore.config, botocore.exceptions
bucket = os.environ["ARTIFACTS_BUCKET"]
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ARTIFACTS_ENDPOINT_URL"],
    region_name=os.environ["ARTIFACTS_REGION"],
    aws_access_key_id=os.environ["ARTIFACTS_ACCESS_KEY"],
    aws_secret_access_key=os.environ["ARTIFACTS_SECRET_KEY"],
    config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2),
)
"""
# Prints the key of each object when its write is acknowledged.
PUT_OBJECTS = (
    S3
    + """
for number in range(1_000_000):
    try:
        s3.put_object(Bucket=bucket, Key=f"{sys.argv[1]}/{number}", Body=b"content")
        print(f"{sys.argv[1]}/{number}", flush=True)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        time.sleep(0.1)
"""
)
LIST_OBJECTS = (
    S3
    + """
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=sys.argv[1]):
    for entry in page.get("Contents", []):
        print(entry["Key"])
"""
)


@pytest.fixture(scope="module")
def landfall(crds: None, chart_values: dict[str, Any]) -> Iterator[Landfall]:
    found = Landfall(Release(make_namespace(), values=chart_values))
    try:
        found.release.install()
        yield found
    finally:
        delete_namespace(found.stage)


@pytest.fixture(scope="module")
def user(landfall: Landfall) -> User:
    return create_user(landfall.stage)


@pytest.fixture(scope="module")
def stranger(landfall: Landfall, backend_image: str) -> str:
    """A pod without labels, and its name."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "it", "image": backend_image, "command": ["sleep", "infinity"], "securityContext": security}
    spec = {"containers": [container], "securityContext": RESTRICTED, "terminationGracePeriodSeconds": 0}
    landfall.stage.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger"}, "spec": spec})
    landfall.stage.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")
    return "stranger"


def kill(stage: Namespace, pod: str) -> float:
    """As a node that fails does; returns when another pod is ready, and gives the time when it began."""
    begun, old = time.time(), stage.get("pod", pod)["metadata"]["uid"]
    # First all that runs beside process 1: the kubelet gives what is deleted, even by force, two seconds to end well.
    stage.kubectl("exec", pod, "--", "sh", "-c", "kill -KILL -1", check=False)
    stage.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")

    def replaced() -> bool:
        found = [body for body in stage.list("pod") if body["metadata"]["name"] == pod]
        return any(b["metadata"]["uid"] != old and condition(b, "Ready").get("status") == "True" for b in found)

    until(replaced, seconds=90, what=f"another {pod} is ready")
    return begun


def outage(lines: Callable[[], list[str]], since: float) -> tuple[list[list[str]], float]:
    """Which checks failed at a time, and after how many seconds all passed again."""

    def over() -> list[tuple[float, list[str]]] | None:
        changes = [change for change in map(json.loads, lines()) if change[0] > since]
        return changes if len(changes) > 1 and not changes[-1][1] else None

    changes = until(over, seconds=90, what="the API is not ready, and then ready again")
    return [failing for _, failing in changes], changes[-1][0] - since


def lost(landfall: Landfall, report: LoadReport) -> list[str]:
    """Acknowledged writes that the database does not have."""
    return [
        name
        for table, names in report.acknowledged.items()
        for name in set(names) - set(landfall.sql(f"SELECT id FROM {table}").split())
    ]


def test_a_pod_without_labels_reaches_the_api_and_nothing_behind_it(landfall: Landfall, stranger: str) -> None:
    addresses = ("landfall-api:80", "landfall-postgis:5432", "landfall-minio:9000")
    seen = landfall.stage.kubectl("exec", stranger, "--", "python", "-c", CONNECT, *addresses)
    assert seen.splitlines() == ["landfall-api:80 open", "landfall-postgis:5432 closed", "landfall-minio:9000 closed"]


def test_the_api_reaches_its_stores_and_nothing_else(landfall: Landfall) -> None:
    seen = landfall.python(CONNECT, "landfall-postgis:5432", "landfall-minio:9000", "kubernetes.default.svc:443")
    assert [line.split()[-1] for line in seen.splitlines()] == ["open", "open", "closed"]


def test_what_is_rendered_applies_three_times_without_a_change(landfall: Landfall, tmp_path: Path) -> None:
    release, values = landfall.release, tmp_path / "values.json"
    values.write_text(json.dumps(release.values))
    command = ("template", release.name, str(release.chart), "--include-crds", "--values", str(values))
    before = landfall.secrets(), wished(landfall.stage, release.run(*command).words)
    for _ in range(3):
        rendered = release.run(*command).words
        # By force: what Helm applied is Helm's.
        landfall.stage.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=rendered)
        assert (landfall.secrets(), wished(landfall.stage, rendered)) == before


def wished(stage: Namespace, rendered: str) -> dict[str, Any]:
    """What is there of what is rendered, as people wish it; but the tests' pods, which run when they are applied."""
    found = json.loads(stage.kubectl("get", "--ignore-not-found", "-f", "-", "-o", "json", text=rendered))["items"]
    for body in found:
        body.pop("status", None)
        for changing in ("resourceVersion", "managedFields"):
            body["metadata"].pop(changing, None)
    return {f"{body['kind']}/{body['metadata']['name']}": body for body in found if body["kind"] != "Pod"}


@pytest.mark.alone
def test_postgis_killed_under_load_is_back_in_10_seconds_with_all_that_was_acknowledged(
    landfall: Landfall, backend_image: str, user: User
) -> None:
    load = Load(landfall.stage, backend_image, user)
    with watched(landfall.stage, API, "python", "-c", WATCH) as lines:
        load.start()
        landfall.sql(
            "CREATE TABLE fresh (id bigint PRIMARY KEY, geom geometry)",
            f"INSERT INTO fresh SELECT n, ST_Point(n % 180, n % 90) FROM generate_series(1, {ROWS}) n",
        )
        failing, seconds = outage(lines, kill(landfall.stage, POSTGIS))
        report = load.stop()
    print(f"PostGIS was back after {seconds:.1f} s; requests: {report.statuses}")  # noqa: T201 - pytest -rP shows it
    assert ["database", "schema"] in failing
    assert seconds <= RECOVERY_SECONDS
    assert landfall.sql("SELECT count(*) FROM fresh", "DROP TABLE fresh") == str(ROWS)
    assert lost(landfall, report) == []


@pytest.mark.alone
def test_minio_killed_under_load_is_back_in_10_seconds_with_all_that_was_acknowledged(
    landfall: Landfall, backend_image: str, user: User
) -> None:
    load = Load(landfall.stage, backend_image, user)
    prefix = uuid.uuid4().hex[:6]
    with (
        watched(landfall.stage, API, "python", "-c", WATCH) as lines,
        watched(landfall.stage, API, "python", "-c", PUT_OBJECTS, prefix) as objects,
    ):
        load.start()
        failing, seconds = outage(lines, kill(landfall.stage, "landfall-minio-0"))
        report = load.stop()
        acknowledged = {line.strip() for line in objects()}
    print(f"MinIO was back after {seconds:.1f} s; {len(acknowledged)} objects")  # noqa: T201
    assert ["storage"] in failing
    assert seconds <= RECOVERY_SECONDS
    assert acknowledged - set(landfall.python(LIST_OBJECTS, prefix).split()) == set()
    assert lost(landfall, report) == []


@pytest.mark.alone
def test_a_rotated_database_password_fails_no_request(landfall: Landfall, backend_image: str, user: User) -> None:
    load, name = Load(landfall.stage, backend_image, user), "landfall-postgis-app"
    old = held(landfall.stage, name)
    load.start()
    run(str(PLUGIN), "rotate", f"credential/{name}", "--namespace", landfall.stage.name)
    fresh = until(
        lambda: new if (new := held(landfall.stage, name)) != old else None, seconds=20, what=f"{name} is rotated"
    )
    landfall.stage.hasten_secrets(POSTGIS)
    made = f"SELECT 1 FROM pg_roles WHERE rolname = '{fresh['username']}'"
    until(lambda: landfall.sql(made), seconds=ROTATION_SECONDS, what="the server has the new login")
    landfall.stage.kubectl("rollout", "restart", "deployment/landfall-api")
    landfall.stage.kubectl("rollout", "status", "deployment/landfall-api", "--timeout=120s")
    report = load.stop()
    assert report.failures == []
    assert f"{fresh['username']}:{fresh['password']}@" in fresh["url"]
    used = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'landfall_app_%'"
    until(lambda: landfall.sql(used) == fresh["username"], seconds=60, what="nobody uses the old login")
