"""The cluster under test: kubectl for what people do, and waiting for conditions."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}
POLL_SECONDS = 0.2


Found = TypeVar("Found")


class ClusterError(Exception):
    """kubectl refused; the text is its own."""


def run(*command: str, text: str | None = None, check: bool = True, timeout: float = 300) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout)
    if check and done.returncode:
        raise ClusterError(f"{' '.join(command[:6])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def refuse_remote() -> None:
    """These tests delete namespaces and kill pods: only a cluster on this machine will do."""
    config = json.loads(run("kubectl", "config", "view", "--minify", "-o", "json"))
    server = config["clusters"][0]["cluster"]["server"]
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

    def apply(self, *bodies: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(items))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def list(self, kind: str, *, labels: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-l", labels, "-o", "json"))["items"]
        return found

    def sql(self, statement: str, *, database: str = "app", host: str = "pg") -> str:
        return self.kubectl(
            "exec", f"deploy/{host}", "--", "psql", "-h", "/tmp", "-U", "postgres", "-d", database, "-qAtc", statement
        ).strip()

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        status = self.get("migration", name).get("status") or {}
        return next((c for c in status.get("conditions") or [] if c["type"] == kind), {})

    def settled(self, name: str, *, seconds: float = 60) -> dict[str, Any]:
        """The Migration when it is at rest for its generation: ready, stalled, or waiting for people."""

        def look() -> dict[str, Any] | None:
            body = self.get("migration", name)
            status = body.get("status") or {}
            conditions = {c["type"]: c for c in status.get("conditions") or []}
            fresh = status.get("observedGeneration") == body["metadata"]["generation"]
            moving = conditions.get("Reconciling", {}).get("status") != "False"
            waits = conditions.get("Ready", {}).get("reason") == "ApprovalNeeded"
            return body if fresh and (not moving or waits) else None

        return until(look, seconds=seconds, what=f"Migration {name} settles")


def migration(name: str, *, case: str, image: str, secret: str = "db", **spec: Any) -> dict[str, Any]:
    """A Migration of one of the applications in `apps/cases`."""
    database = {"urlFrom": {"secretKeyRef": {"name": secret, "key": "DATABASE_URL"}}} | spec.pop("database", {})
    alembic = {"workingDir": f"/app/{case}"} | spec.pop("alembic", {})
    return {
        "apiVersion": "landfall.dev/v1alpha1",
        "kind": "Migration",
        "metadata": {"name": name, "annotations": spec.pop("annotations", {})},
        "spec": {"image": image, "alembic": alembic, "database": database, **spec},
    }


def secret(name: str, url: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"DATABASE_URL": url}}


ROOT = Path(__file__).parents[2]
