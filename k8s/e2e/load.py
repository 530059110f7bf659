"""Load on the service from inside the cluster: reads and writes at a steady rate, and what became of them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from cluster import RESTRICTED, Namespace, until

PROGRAM = Path(__file__).with_name("load_client.py")
BEGINS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 30


@dataclass(frozen=True)
class LoadReport:
    """What became of the requests.

    `failures` are answers other than 200 and 201, and requests that had none; `resent` counts what went out twice,
    because the server had just closed a connection that was kept; `acknowledged` are the ids of what was created, by
    kind (`sites`, `tasks`).
    """

    seconds: float
    slowest_seconds: float
    statuses: dict[str, int]
    resent: int
    failures: list[str]
    acknowledged: dict[str, list[str]]

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())


@dataclass(frozen=True)
class User:
    """Who sends the requests."""

    email: str
    password: str


def create_user(stage: Namespace, deployment: str = "landfall-api") -> User:
    """A user who may write, made by the service's own command."""
    user = User(email=f"load-{uuid.uuid4().hex[:6]}@example.com", password=uuid.uuid4().hex)
    command = ("exec", "-i", f"deploy/{deployment}", "--", "landfall", "users", "create", user.email)
    stage.kubectl(*command, "--role", "editor", text=f"{user.password}\n{user.password}\n")
    return user


class Load:
    """A pod that sends requests to a Service, half of them each on a new connection."""

    def __init__(
        self, stage: Namespace, image: str, user: User, *, service: str = "landfall-api", rate: int = 50
    ) -> None:
        self._stage = stage
        self._name = f"load-{uuid.uuid4().hex[:6]}"
        settings = {"SERVICE": service, "RATE": str(rate), "EMAIL": user.email, "PASSWORD": user.password}
        self._container = {
            "name": "load",
            "image": image,
            "command": ["python", "-c", PROGRAM.read_text()],
            "env": [{"name": name, "value": value} for name, value in settings.items()],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }

    def start(self) -> None:
        """Returns when requests are under way."""
        spec = {
            "containers": [self._container],
            "securityContext": RESTRICTED,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
        }
        self._stage.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self._name}, "spec": spec})
        until(self._begun, seconds=BEGINS_WITHIN_SECONDS, what=f"pod {self._name} sends requests")

    def stop(self) -> LoadReport:
        """Lets what is under way end."""
        self._stage.kubectl("exec", self._name, "--", "sh", "-c", "kill 1")
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        self._stage.kubectl("wait", ended, f"pod/{self._name}", f"--timeout={ENDS_WITHIN_SECONDS}s")
        report = LoadReport(**json.loads(self._stage.kubectl("logs", self._name).splitlines()[-1]))
        self._stage.kubectl("delete", "pod", self._name, "--wait=false")
        return report

    def _begun(self) -> bool:
        phase = self._stage.get("pod", self._name)["status"]["phase"]
        log = self._stage.kubectl("logs", self._name, check=False)
        assert phase != "Failed", f"pod {self._name}: {log}"
        return "begun" in log
