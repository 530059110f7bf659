"""The local loop, from a clone of the repository: Tilt and Skaffold bring everything up, and what is saved is live."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from cluster import ROOT, ClusterError, Namespace, run, until
from conftest import delete_namespace

VALUES = "more-values.yaml"
TILT_PORT = 10397
pytestmark = pytest.mark.alone  # its bounds are a developer's, who has the machine
BROKEN = '''"""Broken."""

from alembic import op

revision = "ffffffffffff"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("ALTER TABLE nowhere ADD COLUMN x integer")


def downgrade() -> None:
    op.execute("ALTER TABLE nowhere DROP COLUMN x")
'''
# Runs in the pod, until its program serves the words.
LOOK = """
import sys, time, urllib.request
print("looking", flush=True)
until = time.monotonic() + 60
while time.monotonic() < until:
    try:
        if sys.argv[2] in urllib.request.urlopen(sys.argv[1], timeout=1).read().decode():
            print("found", flush=True)
            break
    except OSError:
        time.sleep(0.02)
"""


@dataclass(frozen=True)
class Clone:
    """A clone of the repository, and the namespace that its loop fills."""

    directory: Path
    namespace: Namespace

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"LANDFALL_DEV_NAMESPACE": self.namespace.name, "LANDFALL_DEV_VALUES": VALUES} | more

    def try_run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def tilt_ci(self, *resources: str) -> subprocess.CompletedProcess[str]:
        return self.try_run("tilt", "ci", "--web-mode=prod", "--port=0", "--timeout=8m", *resources)

    def pod(self, deployment: str) -> str:
        """The pod that is there, with its image."""
        labels = self.namespace.get("deployment", deployment)["spec"]["selector"]["matchLabels"]
        [body] = self.namespace.list("pod", labels=",".join(f"{key}={value}" for key, value in labels.items()))
        return f"{body['metadata']['name']} {body['spec']['containers'][0]['image']}"

    def seconds_until_live(self, deployment: str, url: str, words: str, *, file: str, text: str) -> float:
        """From saving the text to its words being served."""
        command = ["kubectl", "-n", self.namespace.name, "exec", f"deployment/{deployment}", "--"]
        with subprocess.Popen(
            [*command, "python", "-c", LOOK, url, words], stdout=subprocess.PIPE, text=True
        ) as looking:
            assert line_of(looking) == "looking"
            begun = time.monotonic()
            (self.directory / file).write_text(text)
            assert line_of(looking) == "found"
            return time.monotonic() - begun


def line_of(process: subprocess.Popen[str]) -> str:
    stream: IO[str] | None = process.stdout
    assert stream
    return stream.readline().strip()


def clone(directory: Path, values: dict[str, Any]) -> Clone:
    for tool in ("tilt", "skaffold", "helm"):
        if shutil.which(tool) is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{tool} is not on PATH")
    for name in run("git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            shutil.copymode(ROOT / name, target)
            os.utime(target, (0, 0))  # older than the environment, which make then leaves alone
    (directory / ".venv").symlink_to(ROOT / ".venv")
    (directory / VALUES).write_text(yaml.safe_dump(values))
    here = Clone(directory, Namespace(f"landfall-e2e-{uuid.uuid4().hex[:6]}"))
    # Images of its own: a node that gets the same one from the registry and by `kind load` may lose it.
    for package in ("backend/app", "k8s/operator/landfall_operator"):
        with (directory / package / "__init__.py").open("a") as file:
            file.write(f"# {here.namespace.name}\n")
    return here


@pytest.fixture(scope="module")
def values(postgres_image: str, minio_image: str) -> dict[str, Any]:
    """Whatever is not built from the repository."""
    requests = {"resources": {"requests": {"cpu": "1m"}}}
    postgres, minio = postgres_image.split(":"), minio_image.split(":")
    return {
        "postgis": requests | {"image": {"repository": postgres[0], "tag": postgres[1]}},
        "minio": requests | {"image": {"repository": minio[0], "tag": minio[1]}, "command": "minio"},
        "operator": requests,
        "migration": requests,
        "reaper": requests,
    }


@pytest.fixture(scope="module")
def loop(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone that `tilt ci` has brought up."""
    here = clone(tmp_path_factory.mktemp("loop"), values)
    try:
        begun = time.monotonic()
        done = here.tilt_ci()
        print(f"tilt ci: {time.monotonic() - begun:.1f} s")  # noqa: T201 - pytest -rP shows it
        if done.returncode:
            raise ClusterError(f"tilt ci: {(done.stdout + done.stderr)[-4000:]}")
        yield here
    finally:
        delete_namespace(here.namespace)


@pytest.fixture(scope="module")
def tilt_up(loop: Clone) -> Iterator[Clone]:
    """The same with Tilt running and at rest."""
    command = ["tilt", "up", "--stream", "--web-mode=prod", f"--port={TILT_PORT}"]
    with (loop.directory / "tilt.log").open("w") as log:
        tilt = subprocess.Popen(command, cwd=loop.directory, env=loop.environment(), stdout=log, stderr=log)
    try:
        for resource in ("operator", "migration", "api"):
            until(lambda name=resource: is_green(name), seconds=180, what=f"{resource} is green in Tilt")  # type: ignore[misc]
        yield loop
    finally:
        tilt.terminate()
        tilt.wait(timeout=30)


def is_green(resource: str) -> bool:
    path = "jsonpath={.status.updateStatus} {.status.runtimeStatus}"
    return run("tilt", f"--port={TILT_PORT}", "get", "uiresource", resource, "-o", path, check=False) == "ok ok"


def test_tilt_ci_brings_everything_up(loop: Clone) -> None:
    api = loop.namespace.get("deployment", "landfall-api")
    assert api["status"]["readyReplicas"] == 1
    assert loop.namespace.condition("landfall", "Ready")["status"] == "True"
    assert loop.namespace.condition("landfall", "Ready", of="bucket")["status"] == "True"


@pytest.mark.parametrize(
    ("deployment", "url", "file", "old", "new"),
    [
        ("landfall-api", "http://127.0.0.1:8000/openapi.json", "backend/app/main.py", 'title="Landfall', 'title="{0}'),
        (
            "landfall-operator",
            "http://127.0.0.1:8080/healthz",
            "k8s/operator/landfall_operator/web.py",
            'body = {"status"',
            'body = {{"{0}": 0, "status"',
        ),
    ],
    ids=["api", "operator"],
)
def test_a_saved_file_is_live_within_two_seconds_without_an_image_build(
    tilt_up: Clone, deployment: str, url: str, file: str, old: str, new: str
) -> None:
    before, text = tilt_up.pod(deployment), (tilt_up.directory / file).read_text()
    assert old in text
    seconds = [
        tilt_up.seconds_until_live(deployment, url, word, file=file, text=text.replace(old, new.format(word)))
        for word in ("Edited1", "Edited2", "Edited3")
    ]
    (tilt_up.directory / file).write_text(text)
    print(f"{deployment}: live after {', '.join(f'{found:.2f}' for found in seconds)} s")  # noqa: T201 - pytest -rP shows it
    assert tilt_up.pod(deployment) == before
    assert min(seconds) < 2


def test_a_broken_revision_fails_tilt_ci_with_the_operator_s_message(loop: Clone) -> None:
    head = loop.namespace.get("migration", "landfall")["status"]["currentRevision"]
    revision = loop.directory / "backend/migrations/versions/20990101_0000_ffffffffffff_broken.py"
    revision.write_text(BROKEN.format(head=head))
    done = loop.tilt_ci("migration")
    assert done.returncode
    assert 'Revision ffffffffffff: relation "nowhere" does not exist' in done.stdout + done.stderr
    revision.unlink()
    mended = loop.tilt_ci("migration")
    assert mended.returncode == 0, (mended.stdout + mended.stderr)[-3000:]


def test_tilt_refuses_a_cluster_that_is_not_local(loop: Clone) -> None:
    config = loop.directory / "remote.yaml"
    remote = {"name": "production", "cluster": {"server": "https://production.example:6443"}}
    context = {"name": "production", "context": {"cluster": "production", "user": ""}}
    config.write_text(
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "Config", "clusters": [remote], "contexts": [context]}
            | {"current-context": "production"}
        )
    )
    done = loop.try_run("tilt", "ci", "--web-mode=prod", "--port=0", KUBECONFIG=str(config))
    assert done.returncode
    assert "the context production is not one of a cluster on this machine" in done.stdout + done.stderr


def test_skaffold_run_brings_everything_up(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    here = clone(tmp_path_factory.mktemp("skaffold"), values)
    try:
        begun = time.monotonic()
        done = here.try_run("skaffold", "run", "--interactive=false")
        print(f"skaffold run: {time.monotonic() - begun:.1f} s")  # noqa: T201 - pytest -rP shows it
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        assert here.namespace.get("deployment", "landfall-api")["status"]["readyReplicas"] == 1
    finally:
        delete_namespace(here.namespace)
