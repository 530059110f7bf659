"""`kubectl landfall` on a cluster, run by kubectl as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Namespace, migration, run
from servers import Database

Migrate = Callable[..., None]


def landfall(stage: Namespace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["kubectl", "landfall", *arguments, "-n", stage.name],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def said(stage: Namespace, *arguments: str) -> str:
    done = landfall(stage, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(stage: Namespace, *arguments: str, **environment: str) -> str:
    """The one line on standard error of a command that ended with 1."""
    done = landfall(stage, *arguments, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    line = done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert line.startswith("kubectl landfall: ")
    return line


@pytest.fixture
def migrate(stage: Namespace, app_image: str, database: Database, unique: str) -> Migrate:
    """Apply this test's Migration."""

    def apply(case: str, **spec: Any) -> None:
        image = spec.pop("image", app_image)
        stage.apply(migration(unique, case=case, image=image, secret=database.secret, **spec))

    return apply


def test_wait_ends_well_when_the_database_is_there(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("plain")
    assert f"{unique} is ready: UpToDate: " in said(stage, "wait", unique, "--timeout", "60s")
    assert "b2" in said(stage, "status", unique)
    assert unique in said(stage, "status")
    body = json.loads(said(stage, "status", unique, "-o", "json"))
    assert (body["kind"], body["status"]["state"]) == ("Migration", "UpToDate")
    listed = json.loads(said(stage, "status", "-o", "json"))
    assert unique in [item["metadata"]["name"] for item in listed["items"]]
    row = said(stage, "history", unique).splitlines()[1]
    assert row.split()[1:4] == ["ago", "apply", "Succeeded"]


def test_wait_passes_over_what_was_said_of_an_older_spec(
    stage: Namespace, unique: str, migrate: Migrate, newer_app_image: str
) -> None:
    migrate("plain")
    said(stage, "wait", unique, "--timeout", "60s")
    migrate("plain_newer", image=newer_app_image)
    said(stage, "wait", unique, "--timeout", "60s")
    assert stage.get("migration", unique)["status"]["currentRevision"] == "c3"


def test_wait_ends_with_the_message_when_it_stalls(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("failing")
    line = refused(stage, "wait", unique, "--timeout", "60s")
    assert line.startswith(f"kubectl landfall: {unique}: StatementFailed: ")
    shown = said(stage, "status", unique)
    assert "Failure" in shown
    assert "Last runs" in shown


def test_wait_after_a_retry_waits_for_the_retry(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("failing")
    refused(stage, "wait", unique, "--timeout", "60s")
    said(stage, "retry", unique)
    refused(stage, "wait", unique, "--timeout", "60s")
    assert len(said(stage, "history", unique).splitlines()) == 3


def test_wait_says_at_its_timeout_what_it_waits_for(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("plain", mode="Approve")
    stage.settled(unique)
    started = time.monotonic()
    line = refused(stage, "wait", unique, "--timeout", "2s")
    assert "is not ready after 2 s. It waits still: ApprovalNeeded: " in line
    assert time.monotonic() - started < 10


def test_wait_does_not_wait_for_a_plan_that_nobody_applies(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("plain", mode="Plan")
    line = refused(stage, "wait", unique, "--timeout", "60s")
    assert "is at rest, and not ready: Planned: " in line


def test_a_plan_is_read_approved_by_its_hash_and_applied_under_the_clusters_user_name(
    stage: Namespace, unique: str, migrate: Migrate
) -> None:
    migrate("plain", mode="Approve")
    digest = stage.settled(unique)["status"]["plan"]["hash"]
    shown = said(stage, "plan", unique)
    assert "CREATE TABLE things" in shown
    assert "-- waits for an approval" in shown
    assert f"-- hash {digest}" in shown
    assert digest in refused(stage, "approve", unique, "--hash", "0" * 64)
    user = json.loads(run("kubectl", "auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    assert f"approved as {user}: " in said(stage, "approve", unique, "--hash", digest[:12])
    said(stage, "wait", unique, "--timeout", "60s")
    assert f"-- applied, approved by {user} at " in said(stage, "plan", unique)
    assert stage.get("migration", unique)["status"]["plan"]["approvedBy"] == user


def test_nothing_is_approved_where_nothing_waits(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("plain", mode="Plan")
    stage.settled(unique)
    assert "waits for an approval: Planned: " in refused(stage, "approve", unique)
    migrate("plain", mode="Auto")
    said(stage, "wait", unique, "--timeout", "60s")
    assert "makes no plan" in refused(stage, "approve", unique)
    assert "makes no plan" in refused(stage, "plan", unique)


def test_the_log_is_followed_from_before_its_start_to_its_end(stage: Namespace, unique: str, migrate: Migrate) -> None:
    migrate("slow")
    log = said(stage, "logs", unique, "-f")
    assert "BEGIN LANDFALL LINEAGE" not in log
    assert '"outcome":"Succeeded"' in log.replace(": ", ":")


@pytest.mark.parametrize(
    "command", [["status"], ["plan"], ["approve"], ["retry"], ["wait"], ["history"], ["logs"]], ids=lambda c: c[0]
)
def test_a_migration_that_is_not_there_is_told_in_a_line(stage: Namespace, command: list[str]) -> None:
    line = refused(stage, *command, "nobody")
    assert f'"nobody" not found in the namespace {stage.name}' in line
    assert "kubectl landfall status -A" in line


def test_who_may_not_is_told_in_a_line(stage: Namespace, tmp_path: Path) -> None:
    line = refused(stage, "status", KUBECONFIG=kubeconfig_of_nobody(stage, tmp_path))
    assert 'cannot list resource "migrations"' in line
    assert "Ask for that verb in a Role" in line


def kubeconfig_of_nobody(stage: Namespace, directory: Path) -> str:
    config = json.loads(run("kubectl", "config", "view", "--minify", "--raw", "-o", "json"))
    token = stage.kubectl("create", "token", "default").strip()
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def test_a_cluster_that_is_away_is_told_in_a_line(stage: Namespace, tmp_path: Path) -> None:
    config = json.loads(run("kubectl", "config", "view", "--minify", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    line = refused(stage, "status", KUBECONFIG=str(path))
    assert "the API server https://127.0.0.1:1 cannot be reached: " in line
