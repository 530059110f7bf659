"""The operator as a process: killed, restarted, and asked for its figures."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cluster import ClusterError, Namespace, condition, until
from prometheus_client.parser import text_string_to_metric_families

OPERATOR = "deployment/landfall-operator"
PODS = "app.kubernetes.io/name=landfall-operator"
# The image has a shell and no ps. `comm` holds the first 15 characters of the program's name.
SIGKILL = (
    "for process in /proc/[0-9]*; do read -r name < $process/comm || continue; "
    'case "$name" in landfall-operat*) kill -9 "${process#/proc/}" && exit 0;; esac; done; exit 1'
)
APPROVE = "landfall.dev/approve"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def operator_pod(namespace: Namespace) -> dict[str, Any] | None:
    """The operator's pod, where one is there that is not on its way out."""
    pods = namespace.list("pod", labels=PODS)
    return next((pod for pod in pods if "deletionTimestamp" not in pod["metadata"]), None)


def wait_until_up(namespace: Namespace) -> None:
    namespace.kubectl("rollout", "status", OPERATOR, "--timeout=60s")


@dataclass
class Killer:
    """Ends the operator by turns: its process by SIGKILL, its pod by a forced deletion.

    By turns, since a second crash of the same pod is held back for ten seconds and more.
    """

    namespace: Namespace
    at: list[datetime] = field(default_factory=list)

    def prepare(self) -> None:
        """Let a shell in the container see the process as another than the first, which SIGKILL does not reach."""
        patch = '{"spec": {"template": {"spec": {"shareProcessNamespace": true}}}}'
        self.namespace.kubectl("patch", OPERATOR, "--type=merge", "-p", patch)
        wait_until_up(self.namespace)

    def strike(self) -> None:
        blow = self._process if len(self.at) % 2 == 0 else self._pod
        until(blow, seconds=30, what="an operator to kill")
        self.at.append(datetime.now(UTC))

    def _process(self) -> bool:
        pod = operator_pod(self.namespace)
        if pod is None:
            return False
        try:
            self.namespace.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", SIGKILL)
        except ClusterError:
            return False  # its container is not up yet
        return True

    def _pod(self) -> bool:
        pod = operator_pod(self.namespace)
        if pod is None:
            return False
        self.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
        return True


def pace(due: float) -> None:
    """Wait until that moment of `time.monotonic`."""
    time.sleep(max(0.0, due - time.monotonic()))


def approve_waiting(namespace: Namespace) -> None:
    """Approve each plan that waits, as a person would who reads fast."""
    for body in namespace.list("migration"):
        waits = condition(body, "Ready").get("reason") == "ApprovalNeeded"
        plan = body["status"].get("plan") or {}
        if waits and plan.get("hash") != (body["metadata"].get("annotations") or {}).get(APPROVE):
            name = f"migration/{body['metadata']['name']}"
            namespace.kubectl("annotate", "--overwrite", name, f"{APPROVE}={plan['hash']}")


def jobs_of(namespace: Namespace, migration: dict[str, Any]) -> list[dict[str, Any]]:
    """A Migration's Jobs, oldest first."""
    jobs = namespace.list("job", labels=f"landfall.dev/migration-uid={migration['metadata']['uid']}")
    return sorted(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))


def pods_made(namespace: Namespace) -> Counter[str]:
    """How many Pods each Job has ever had, also one that was deleted and made anew: the Job controller tells."""
    made: Counter[str] = Counter()
    for event in namespace.list("event"):
        if event["reason"] == "SuccessfulCreate" and event["involvedObject"]["kind"] == "Job":
            made[event["involvedObject"]["name"]] += event.get("count") or 1
    return made


def events_of(namespace: Namespace, name: str) -> list[dict[str, Any]]:
    return [
        event
        for event in namespace.list("event")
        if (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Migration", name)
    ]


def versions(namespace: Namespace) -> dict[str, str]:
    """The version of everything that an operator may write, by kind and name; an Event of its own is one more."""
    found = {}
    for body in namespace.list("migrations,jobs,configmaps,events,deployments"):
        metadata = body["metadata"]
        about = (body.get("involvedObject") or {}).get("kind", "Migration")
        if about == "Migration" and metadata["name"] != OPERATOR.split("/")[1]:
            found[f"{body['kind']}/{metadata['name']}"] = metadata["resourceVersion"]
    return found


def ask(namespace: Namespace, path: str) -> str:
    """What the operator's HTTP port answers, through the API server."""
    pod = operator_pod(namespace)
    if pod is None:
        raise ClusterError("there is no operator's pod")
    name = pod["metadata"]["name"]
    return namespace.kubectl("get", "--raw", f"/api/v1/namespaces/{namespace.name}/pods/{name}:8080/proxy/{path}")


def scrape(namespace: Namespace) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(ask(namespace, "metrics"))
        for sample in family.samples
    }


def sample(samples: Samples, metric: str, /, **labels: str) -> float | None:
    return samples.get((metric, frozenset(labels.items())))
