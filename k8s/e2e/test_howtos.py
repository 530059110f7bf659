"""The operator's how-to pages: their commands, run as they stand there on a Migration of another name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import ROOT, Namespace, migration, run
from servers import Database

PAGES = ROOT / "docs/how-to/operator"


def commands(page: str) -> list[str]:
    """What a page has people type: whole bash blocks, and the lines behind a $."""
    found = re.findall(r"^```(bash|console)\n(.*?)^```$", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    steps: list[str] = []
    for language, text in found:
        steps += [text] if language == "bash" else [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return steps


@pytest.fixture
def kubeconfig(stage: Namespace, tmp_path: Path) -> str:
    """With the stage as its namespace, as the pages have it."""
    path = str(shutil.copy(os.environ["KUBECONFIG"], tmp_path / "kubeconfig"))
    run("kubectl", "--kubeconfig", path, "config", "set-context", "--current", "--namespace", stage.name)
    return path


class Shell:
    """Types a page's commands, on `name` where they say `api`."""

    def __init__(self, kubeconfig: str, directory: Path, name: str) -> None:
        plugins = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where kubectl finds kubectl-landfall
        self._environment = {**os.environ, "KUBECONFIG": kubeconfig, "PATH": plugins}
        self._directory = directory
        self._name = name

    def __call__(self, script: str, **words: str) -> str:
        text = re.sub(r"(?<![\w.-])api(?=$|[\s-])", self._name, script, flags=re.MULTILINE)
        for old, new in words.items():
            assert old in text
            text = text.replace(old, new)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(kubeconfig: str, tmp_path: Path, unique: str) -> Shell:
    return Shell(kubeconfig, tmp_path, unique)


def test_wait_in_ci(
    stage: Namespace, app_image: str, database: Database, unique: str, shell: Shell, tmp_path: Path
) -> None:
    apply_and_wait, preview = commands("wait-in-ci.md")
    shown = migration(f"{unique}-preview", case="plain", image=app_image, secret=database.secret, mode="Plan")
    stage.apply(shown)
    assert "CREATE TABLE things" in shell(preview)
    stage.kubectl("delete", "migration", f"{unique}-preview")
    body = migration(unique, case="plain", image=app_image, secret=database.secret)
    (tmp_path / "migration.yaml").write_text(json.dumps(body))
    assert "is ready" in shell(apply_and_wait)


def test_approve_a_plan(stage: Namespace, app_image: str, database: Database, unique: str, shell: Shell) -> None:
    status, plan, approve, sql, annotate = commands("approve-a-plan.md")
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret, mode="Approve"))
    digest = stage.settled(unique)["status"]["plan"]["hash"]
    assert "waits for an approval" in shell(status) + shell(plan)
    assert "CREATE TABLE things" in shell(sql)
    shell(annotate, HASH=digest)
    shell(f"kubectl landfall wait {unique}")
    assert stage.get("migration", unique)["status"]["plan"]["approvedBy"] == "you"
    stage.apply(migration(unique, case="plain_newer", image=app_image, secret=database.secret, mode="Approve"))
    newer = stage.settled(unique)["status"]["plan"]["hash"]
    shell(approve, **{"3f0c9a1be27d": newer[:12]})
    shell(f"kubectl landfall wait {unique}")


def test_take_a_database_over(stage: Namespace, app_image: str, database: Database, unique: str, shell: Shell) -> None:
    stage.apply(migration(f"{unique}-owner", case="plain", image=app_image, secret=database.secret))
    stage.settled(f"{unique}-owner")
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret))
    stage.settled(unique)
    assert stage.condition(unique, "Ready")["reason"] == "Conflict"
    for step in commands("take-a-database-over.md"):
        shell(step)
    shell(f"kubectl landfall wait {unique}")
    assert stage.get("migration", unique)["spec"]["database"]["takeOver"] is False


def test_recover_from_a_stall(stage: Namespace, app_image: str, database: Database, unique: str, shell: Shell) -> None:
    status, logs, retry, wait, _ = commands("recover.md")  # the last one is test_bucket_operator's
    stage.apply(migration(unique, case="plain", image=app_image, secret=f"{unique}-missing"))
    stage.settled(unique)
    assert "ConfigurationMissing" in shell(status)
    body = stage.get("secret", database.secret) | {"metadata": {"name": f"{unique}-missing"}}
    stage.apply(body)
    shell(retry)
    shell(wait)
    assert '"outcome":"Succeeded"' in shell(logs)
    stage.kubectl("delete", "secret", f"{unique}-missing")
