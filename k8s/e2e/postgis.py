"""Releases of the PostGIS chart, and pods that talk to their databases."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from cluster import RESTRICTED, ClusterError, Namespace, until
from releases import SUBCHARTS, Release, Values

CHART = SUBCHARTS / "postgis"
UID = 5432  # postgres, in the tests' image
GRACE_SECONDS = 1


def resources(memory: str) -> Values:
    """Little CPU: many releases share a node."""
    return {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": memory}}


def image_value(image: str) -> Values:
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag}


@dataclass(frozen=True)
class Postgis:
    """One release of the chart, reached from a pod that is a client of it."""

    release: Release

    @classmethod
    def new(cls, stage: Namespace, image: str, **values: Any) -> Postgis:
        shared = {
            "image": image_value(image),
            "securityContext": {"runAsUser": UID, "runAsGroup": UID, "fsGroup": UID},
            "auth": {"loginGraceSeconds": GRACE_SECONDS},
            "resources": resources("768Mi"),
            "persistence": {"size": "2Gi"},
        }
        return cls(Release(stage, f"t{uuid.uuid4().hex[:6]}", CHART, values=shared | values))

    @property
    def stage(self) -> Namespace:
        return self.release.stage

    @property
    def name(self) -> str:
        return f"{self.release.name}-postgis"

    @property
    def pod(self) -> str:
        return f"{self.name}-0"

    def start_client(self, image: str, name: str = "client", *, labelled: bool = True) -> None:
        """A pod with the labels of clients, or without."""
        labels = {f"{self.name}-client": "true", f"{self.name}-pgbouncer-client": "true"} if labelled else {}
        keys = ("url", "pooled-url")
        variables = {f"{key.upper().replace('-', '_')}": key for key in keys}
        env = [
            {
                "name": variable if login == "app" else f"OWNER_{variable}",
                "valueFrom": {"secretKeyRef": {"name": f"{self.name}-{login}", "key": key, "optional": True}},
            }
            for login in ("app", "owner")
            for variable, key in variables.items()
        ]
        container = {
            "name": "client",
            "image": image,
            "command": ["sleep", "infinity"],
            "env": env,
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {
            "terminationGracePeriodSeconds": 0,
            "securityContext": RESTRICTED | {"runAsUser": UID},
            "containers": [container],
        }
        named = f"{self.release.name}-{name}"
        self.stage.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": named, "labels": labels}, "spec": spec}
        )
        self.stage.kubectl("wait", "--for=condition=Ready", f"pod/{named}", "--timeout=60s")

    def ask(self, script: str, *, of: str = "client", check: bool = True) -> str:
        """What a shell in the client prints; URL, POOLED_URL and OWNER_URL are those of the Secrets when it started."""
        return self.stage.kubectl("exec", f"{self.release.name}-{of}", "--", "sh", "-c", script, check=check).strip()

    def sql(self, statement: str, *, url: str = "$URL", of: str = "client", patience: int = 20) -> str:
        """What a client's statement gives, if it is connected within so many seconds; raises `ClusterError`."""
        command = f'PGCONNECT_TIMEOUT={patience} psql -X -qAt -v ON_ERROR_STOP=1 -d "{url}" -c "{statement}"'
        return self.ask(command, of=of)

    def refused(self, statement: str, *, url: str = "$URL", of: str = "client", patience: int = 20) -> str:
        """The error of a client's statement."""
        try:
            answer = self.sql(statement, url=url, of=of, patience=patience)
        except ClusterError as error:
            return str(error)
        raise AssertionError(f"not refused: {statement}: {answer}")

    def inside(self, command: str, *, check: bool = True) -> str:
        """What a shell beside the server prints."""
        return self.stage.kubectl("exec", self.pod, "--", "sh", "-c", command, check=check).strip()

    def superuser(self, statement: str) -> str:
        return self.inside(f'psql -X -qAt -v ON_ERROR_STOP=1 -c "{statement}"')

    def logs(self, *options: str) -> str:
        return self.stage.kubectl("logs", self.pod, "--tail=-1", *options, check=False)

    def wait(self, seconds: float = 60) -> None:
        self.stage.kubectl("rollout", "status", f"statefulset/{self.name}", f"--timeout={seconds:g}s")

    def answers(self) -> bool:
        return self.ask('PGCONNECT_TIMEOUT=1 psql -X -qAt -d "$URL" -c "SELECT 1"', check=False) == "1"

    def recovery_seconds(self) -> float:
        """How long until a client is answered again."""
        begun = time.monotonic()
        until(self.answers, seconds=60, what=f"{self.name} answers again")
        return time.monotonic() - begun

    def uninstall(self) -> None:
        self.release.uninstall()
        everything = f"app.kubernetes.io/instance={self.release.name}"
        self.stage.kubectl("delete", "pvc,pod", "-l", everything, "--wait=false")
        pods = (f"{self.release.name}-client", f"{self.release.name}-stranger")
        self.stage.kubectl("delete", "pod", "--ignore-not-found", "--wait=false", *pods)
        secrets = [f"{self.name}-{login}" for login in ("owner", "app", "pgbouncer")]
        self.stage.kubectl("delete", "secret", "--ignore-not-found", "--wait=false", *secrets)
