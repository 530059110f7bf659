"""Typed views on a Migration, its Jobs and their Pods: what its reconciler looks at. Nothing here does I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from landfall_operator.constants import (
    ANNOTATION_RETRY,
    CONTAINER,
    LABEL_ATTEMPT,
    LABEL_NAME,
    LABEL_PHASE,
    LABEL_RUN,
    LABEL_UID,
)
from landfall_operator.resource import Json, Resource, moment

# What keeps a container from ever starting until somebody changes something.
HOPELESS = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "CreateContainerConfigError": "ConfigurationMissing",
    "CreateContainerError": "ContainerNotCreated",
    "RunContainerError": "ContainerNotStarted",
}


@dataclass(frozen=True, kw_only=True)
class Migration(Resource):
    """One Migration as the API server has it; `image` is resolved, None where its Deployment is not there."""

    kind: ClassVar[str] = "Migration"
    image: str | None

    def child(self, name: str) -> dict[str, Any]:
        """The metadata of an object that is made for it and goes with it."""
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": {LABEL_UID: self.uid, LABEL_NAME: self.name[:63].rstrip("-.")},
            "ownerReferences": [self.owner_reference],
        }

    @property
    def policy(self) -> Json:
        policy: Json = self.spec["policy"]
        return policy

    @property
    def two_phases(self) -> bool:
        """Whether something may stop between planning and applying."""
        return bool(self.spec["mode"] != "Auto" or self.policy["destructive"] != "Allow")

    @property
    def run_key(self) -> str:
        """What identifies a run: the same key is the same work, whatever else of the spec changes."""
        spec = self.spec
        parts = [
            self.uid,
            self.image,
            spec["target"],
            spec.get("baseline"),
            spec["alembic"],
            spec["database"],
            spec["policy"],
            spec["mode"],
            spec["template"],
            self.annotations.get(ANNOTATION_RETRY),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One Job and, as far as it has one, its Pod."""

    job: str
    key: str
    phase: str
    attempt: int
    finished: bool
    started: bool
    pod: str | None
    image: str | None
    digest: str | None
    began: datetime | None
    ended: datetime | None
    hopeless: str | None
    trouble: str
    disrupted: bool = False
    overdue: bool = False
    podless: bool = False  # the Job controller has made no Pod yet, or may not
    progress: str = ""
    report: Json = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        return (self.ended - self.began).total_seconds() if self.began and self.ended else None


def observe(job: Json, pods: Iterable[Json]) -> Run:
    """A run is over with its container, whose end carries the report; Pod and Job say so a second or two later.

    The Job's word is the end only where the Pod has gone.
    """
    labels = job["metadata"].get("labels") or {}
    status = job.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
    over = conditions.get("Complete") or conditions.get("Failed")
    pod = max(pods, key=lambda p: p["metadata"]["creationTimestamp"], default=None)
    container = _container(pod)
    state = container.get("state") or {}
    terminated = state.get("terminated")
    waiting = _waiting(pod)
    report = _report(terminated)
    pod_over = (pod or {}).get("status", {}).get("phase") in {"Succeeded", "Failed"}
    return Run(
        job=job["metadata"]["name"],
        key=labels.get(LABEL_RUN, ""),
        phase=labels.get(LABEL_PHASE, ""),
        attempt=int(labels.get(LABEL_ATTEMPT, "1")),
        finished=terminated is not None or pod_over or (over is not None and pod is None),
        started=bool(terminated or state.get("running")),
        pod=pod["metadata"]["name"] if pod else None,
        image=_image(job),
        digest=_digest(container.get("imageID")),
        began=moment(status.get("startTime") or job["metadata"].get("creationTimestamp")),
        ended=moment((terminated or {}).get("finishedAt") or (over or {}).get("lastTransitionTime")),
        hopeless=_hopeless(pod, waiting),
        trouble=_trouble(over, pod, terminated, waiting),
        disrupted=_disrupted(pod),
        podless=pod is None and not any(status.get(n) for n in ("active", "terminating", "succeeded", "failed")),
        overdue=any(c.get("reason") == "DeadlineExceeded" for c in conditions.values()),
        report=report,
    )


def _container(pod: Json | None) -> Json:
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or []
    return next((s for s in statuses if s["name"] == CONTAINER), {})


def _image(job: Json) -> str | None:
    """As the spec names it: a container's status has the runtime's own spelling."""
    containers = job["spec"]["template"]["spec"]["containers"]
    return next((str(c["image"]) for c in containers if c["name"] == CONTAINER), None)


def _waiting(pod: Json | None) -> Json:
    """Why a container does not start, that of the init container included."""
    status = (pod or {}).get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting: Json | None = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") in HOPELESS:
            return waiting
    return {}


def _report(terminated: Json | None) -> Json:
    try:
        report = json.loads((terminated or {}).get("message") or "{}")
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def _digest(image_id: str | None) -> str | None:
    match = re.search(r"sha256:[0-9a-f]{64}", image_id or "")
    return match[0] if match else None


def _hopeless(pod: Json | None, waiting: Json) -> str | None:
    reason = HOPELESS.get(waiting.get("reason", ""))
    runner = any(_is_waiting(c, waiting) for c in ((pod or {}).get("status") or {}).get("initContainerStatuses") or [])
    return f"Runner{reason}" if runner and reason == "ImagePullFailed" else reason


def _is_waiting(container: Json, waiting: Json) -> bool:
    return (container.get("state") or {}).get("waiting") is waiting


def _disrupted(pod: Json | None) -> bool:
    """Whether the cluster ended the Pod: an eviction, a preemption, a node's shutdown."""
    conditions = ((pod or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in conditions)


def _trouble(over: Json | None, pod: Json | None, terminated: Json | None, waiting: Json) -> str:
    """The end or the obstacle in Kubernetes' own words, for when there is no report."""
    if waiting:
        # The back-off between two tries has the last one's words behind its own: the same trouble is told the same.
        words = re.sub(r"^Back-off pulling image \S+: ", "", str(waiting.get("message", "")))
        return words if words.startswith("Err") else f"{waiting.get('reason')}: {words}".strip()
    status = (pod or {}).get("status") or {}
    for container in status.get("initContainerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            words = f"{ended.get('reason', 'Error')} (exit code {ended['exitCode']}) {ended.get('message', '')}"
            return f"The init container {container['name']}: {words}".strip()
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}".strip()
    if terminated and terminated.get("exitCode"):
        words = terminated.get("message") or ""
        if words.startswith("{"):
            words = ""
        return f"{terminated.get('reason', 'Error')} (exit code {terminated['exitCode']}) {words}".strip()
    if over is not None and over["type"] == "Failed":
        return f"{over.get('reason', 'Failed')}: {over.get('message', '')}".strip()
    return ""
