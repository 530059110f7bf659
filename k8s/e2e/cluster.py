"""The cluster under test: kubectl for what people do, the API itself for looks, and waiting for conditions."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig

ROOT = Path(__file__).parents[2]
LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}
TOOLS = ("kubectl", "docker", "kind")
POLL_SECONDS = 0.2
RESTRICTED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
# Where the API has what the tests look at.
GROUPS = {
    "api/v1": ("configmaps", "events", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts"),
    "apis/apps/v1": ("deployments", "statefulsets"),
    "apis/batch/v1": ("jobs",),
    "apis/landfall.dev/v1alpha1": ("buckets", "credentials", "migrations"),
    "apis/rbac.authorization.k8s.io/v1": ("rolebindings", "roles"),
}
PATHS = {plural: f"/{group}/namespaces/{{}}/{plural}" for group, plurals in GROUPS.items() for plural in plurals}


Found = TypeVar("Found")


class ClusterError(Exception):
    """kubectl refused; the text is its own."""


def run(*command: str, text: str | None = None, check: bool = True, timeout: float = 300) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout)
    if check and done.returncode:
        raise ClusterError(f"{' '.join(command[:6])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@cache
def api() -> httpx2.Client:
    """A look by kubectl costs a tenth of a second of CPU, and a wait is many looks."""
    config = KubeConfig.from_env().get()
    assert config
    return Client(config, ConnectionParams())


def look_up(path: str, **parameters: str) -> dict[str, Any]:
    """What the API answers; raises `ClusterError` with its own words."""
    answer = api().get(path, params=parameters)
    if answer.is_error:
        raise ClusterError(f"{path}: {answer.text}")
    found: dict[str, Any] = answer.json()
    for body in found.get("items", [found]):
        body["metadata"].pop("managedFields", None)  # nor does kubectl show them
    return found


def require_tools() -> None:
    """Raises `ClusterError` for the first tool that is not on PATH."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise ClusterError(f"{tool} is not on PATH: install it, then make a cluster: kind create cluster")


def refuse_remote() -> None:
    """These tests delete namespaces and kill pods: only a cluster on this machine will do."""
    config = run("kubectl", "config", "view", "--minify", "-o", "json", check=False)
    clusters = (json.loads(config) if config else {}).get("clusters")
    if not clusters:
        raise ClusterError("KUBECONFIG names no cluster: make a local one, such as by kind create cluster")
    server = clusters[0]["cluster"]["server"]
    if urlsplit(server).hostname not in LOCAL:
        raise ClusterError(
            f"the cluster {server} is not on this machine: point KUBECONFIG at a local one, such as kind"
        )


def until(look: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """Poll until `look` gives something; fails by `what`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Namespace:
    """One namespace of a test's own."""

    name: str

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True, timeout: float = 300) -> str:
        return run("kubectl", "-n", self.name, *arguments, text=text, check=check, timeout=timeout)

    def apply(self, *bodies: dict[str, Any], dry_run: bool = False) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        options = ["--dry-run=server"] if dry_run else []
        self.kubectl("apply", "--server-side", "--force-conflicts", *options, "-f", "-", text=json.dumps(items))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return look_up(f"{self._path(kind)}/{name}")

    def list(self, kind: str, *, labels: str = "") -> list[dict[str, Any]]:
        """All of a kind, or of several with commas between."""
        found = []
        for one in kind.split(","):
            body = look_up(self._path(one), labelSelector=labels)
            # Items do not say what they are: their list does.
            about = {"apiVersion": body["apiVersion"], "kind": body["kind"].removesuffix("List")}
            found += [about | item for item in body["items"]]
        return found

    def _path(self, kind: str) -> str:
        return PATHS[f"{kind.removesuffix('s')}s"].format(self.name)

    def hasten_secrets(self, pod: str) -> None:
        """Let a pod have its Secrets' new content now: the kubelet looks once a minute unless the pod changes."""
        self.kubectl("annotate", "--overwrite", "pod", pod, f"landfall-e2e/hastened={time.monotonic_ns()}")

    def sql(self, *statements: str, database: str = "postgres", host: str = "pg") -> str:
        """The answers of the superuser's statements, each a transaction of its own."""
        command = ("exec", f"deploy/{host}", "--", "psql", "-h", "/tmp", "-U", "postgres", "-d", database)
        options = [part for statement in statements for part in ("-c", statement)]
        return self.kubectl(*command, "-v", "ON_ERROR_STOP=1", "-qAt", *options).strip()

    def condition(self, name: str, kind: str, *, of: str = "migration") -> dict[str, Any]:
        return condition(self.get(of, name), kind)

    def settled(self, name: str, *, kind: str = "migration", seconds: float = 60) -> dict[str, Any]:
        """The resource when it is at rest for its generation: ready, stalled, or waiting for people."""

        def look() -> dict[str, Any] | None:
            body = self.get(kind, name)
            return body if at_rest(body) else None

        return until(look, seconds=seconds, what=f"{kind} {name} settles")

    def all_settled(self, prefix: str, *, kind: str = "migration", seconds: float = 180) -> dict[str, dict[str, Any]]:
        """The resources whose names begin so, by name, when all are at rest: one request a look."""

        def look() -> dict[str, dict[str, Any]] | None:
            bodies = {body["metadata"]["name"]: body for body in self.list(kind)}
            ours = {name: body for name, body in bodies.items() if name.startswith(prefix)}
            return ours if all(at_rest(body) for body in ours.values()) else None

        return until(look, seconds=seconds, what=f"all of {kind} {prefix}… settle")

    def told(self, name: str, reason: str, *, kind: str = "bucket", seconds: float = 60) -> dict[str, Any]:
        """The resource when it gives this reason, by its condition Ready and for its generation."""
        seen: list[str] = []

        def look() -> dict[str, Any] | None:
            body = self.get(kind, name)
            ready = condition(body, "Ready")
            seen[:] = [ready.get("reason", ""), ready.get("message", "")]
            fresh = body["status"].get("observedGeneration") == body["metadata"]["generation"]
            return body if fresh and ready.get("reason") == reason else None

        try:
            return until(look, seconds=seconds, what=f"{kind} {name} tells {reason}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {' '.join(seen)}") from None


def condition(body: dict[str, Any], kind: str) -> dict[str, Any]:
    found = (body.get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] == kind), {})


def at_rest(body: dict[str, Any]) -> bool:
    """Whether a resource is ready, stalled, idle or waiting for people, for its generation."""
    fresh = body["status"].get("observedGeneration") == body["metadata"]["generation"]
    moving = condition(body, "Reconciling").get("status") != "False"
    return bool(fresh and (not moving or condition(body, "Ready").get("reason") == "ApprovalNeeded"))


def migration(name: str, *, case: str, image: str | None, secret: str = "db", **spec: Any) -> dict[str, Any]:
    """A Migration of one of the applications in `apps/cases`, fit for Pod Security's restricted profile."""
    database = {"urlFrom": {"secretKeyRef": {"name": secret, "key": "DATABASE_URL"}}} | spec.pop("database", {})
    alembic = {"workingDir": f"/app/{case}"} | spec.pop("alembic", {})
    template = {"podSecurityContext": RESTRICTED} | spec.pop("template", {})
    source = {"image": image} if image else {}
    return {
        "apiVersion": "landfall.dev/v1alpha1",
        "kind": "Migration",
        "metadata": {"name": name, "annotations": spec.pop("annotations", {})},
        "spec": {**source, "alembic": alembic, "database": database, "template": template, **spec},
    }


def idle_deployment(name: str, **images: str) -> dict[str, Any]:
    """A Deployment without pods, of a container for each name and image: only controllers touch its status."""
    labels = {"app": name}
    containers = [{"name": container, "image": image} for container, image in images.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def secret(name: str, url: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"DATABASE_URL": url}}
