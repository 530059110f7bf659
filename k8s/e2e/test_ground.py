"""The suite itself: where it refuses to run, and what it shows when a test fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import diagnosis
import pytest
from cluster import ROOT, TOOLS, ClusterError, Namespace, refuse_remote
from conftest import LONGEST, Once
from servers import PASSWORD, Server

from tests.support.workers import is_marked

SUITE = ROOT / "k8s/e2e"
PROBE = "test_ground.py::test_the_probe_of_these_tests_passes"


def run_suite(**environment: str) -> subprocess.CompletedProcess[str]:
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # most of a start is other plugins
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(SUITE / PROBE)]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def kubeconfig(directory: Path, server: str) -> str:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "there", "cluster": {"server": server}}],
        "contexts": [{"name": "there", "context": {"cluster": "there", "user": ""}}],
        "current-context": "there",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(body))
    return str(path)


def test_the_probe_of_these_tests_passes() -> None:
    """What the tests below ask for: it needs a cluster that is allowed, and nothing of it."""


def test_a_cluster_elsewhere_ends_the_run_before_any_test(tmp_path: Path) -> None:
    done = run_suite(KUBECONFIG=kubeconfig(tmp_path, "https://203.0.113.7:6443"))
    assert done.returncode == 2
    assert "make e2e: the cluster https://203.0.113.7:6443 is not on this machine" in done.stderr
    assert "passed" not in done.stdout


@pytest.mark.parametrize(
    "server", ["https://localhost.example.org", "https://10.0.0.1", "https://127.0.0.1.example.org"]
)
def test_only_this_machine_is_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, server))
    with pytest.raises(ClusterError, match="point KUBECONFIG at a local one"):
        refuse_remote()


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost:1", "https://[::1]:6443"])
def test_a_cluster_on_this_machine_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, server))
    refuse_remote()


def test_no_cluster_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ClusterError, match="KUBECONFIG names no cluster: make a local one"):
        refuse_remote()


@pytest.mark.parametrize("missing", TOOLS)
def test_a_missing_tool_is_named(tmp_path: Path, missing: str) -> None:
    for tool in TOOLS:
        if tool != missing:
            (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = run_suite(PATH=str(tmp_path))
    assert done.returncode == 2
    assert f"make e2e: {missing} is not on PATH: install it" in done.stderr


def test_a_look_at_resources_gives_what_kubectl_gives() -> None:
    system = Namespace("kube-system")
    told = json.loads(system.kubectl("get", "configmaps,serviceaccounts", "-o", "json"))["items"]
    assert system.list("configmap,serviceaccount") == told
    assert system.get("configmap", told[0]["metadata"]["name"]) == told[0]
    assert system.list("configmap", labels="there=none") == []
    with pytest.raises(ClusterError, match=r'configmaps .*"absent.*not found'):
        system.get("configmap", "absent")


def test_files_with_tests_that_run_alone_come_after_all_others(request: pytest.FixtureRequest) -> None:
    items = [item for item in request.session.items if not is_marked(item, "last")]
    alone = {item.path for item in items if is_marked(item, "alone")}
    assert [item.path in alone for item in items] == sorted(item.path in alone for item in items)


def test_the_files_that_take_longest_are_there() -> None:
    assert [name for name in LONGEST if not (SUITE / f"{name}.py").is_file()] == []


def test_what_is_to_be_done_once_is_awaited_by_the_other_worker(once: Once) -> None:
    done: list[str] = []

    def build() -> None:
        time.sleep(0.3)  # long enough for the other one to begin too
        done.append("built")

    def wait(_: int) -> list[str]:
        once("image", build)
        return list(done)

    with ThreadPoolExecutor(2) as two:
        assert list(two.map(wait, range(2))) == [["built"], ["built"]]


def test_what_a_failed_test_shows_has_no_password() -> None:
    server = Server(stage=Namespace("stage"), name="pg")
    shown = diagnosis.redacted(f"{server.url('api')} and {PASSWORD}")
    assert shown == "postgresql://app:[seeded password]@pg.stage.svc/api and [seeded password]"
