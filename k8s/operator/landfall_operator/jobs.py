"""Desired Jobs: pure functions from a Migration."""

from __future__ import annotations

import json
from typing import Any

from landfall_operator.constants import (
    CONNECT_WAIT_SECONDS,
    CONTAINER,
    DEADLINE_GRACE_SECONDS,
    LABEL_ATTEMPT,
    LABEL_PHASE,
    LABEL_RUN,
    RUNNER_PATH,
    RUNNER_VOLUME,
)
from landfall_operator.resource import seconds
from landfall_operator.views import Migration

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
RUNNER_USER = 65532  # of the operator's image
INIT_RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}


def job_name(migration: Migration, phase: str, attempt: int) -> str:
    """The same for the same work: a restarted operator finds the Job that it had made."""
    suffix = f"-{migration.run_key}-{phase}-{attempt}"
    return migration.name[: 63 - len(suffix)].rstrip("-.") + suffix


def build_job(
    migration: Migration,
    *,
    phase: str,
    attempt: int,
    runner_image: str,
    plan_sha256: str | None = None,
    take_over_from: str | None = None,
) -> dict[str, Any]:
    template = migration.spec["template"]
    metadata = migration.child(job_name(migration, phase, attempt))
    labels = metadata["labels"] = metadata["labels"] | {
        LABEL_RUN: migration.run_key,
        LABEL_PHASE: phase,
        LABEL_ATTEMPT: str(attempt),
        "app.kubernetes.io/managed-by": "landfall-operator",
    }
    deadline = seconds(migration.policy["deadline"])
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,  # a retry is ours to decide, and never two at once
            "activeDeadlineSeconds": int(deadline) + DEADLINE_GRACE_SECONDS,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {
                    "labels": {**(template.get("labels") or {}), **labels},
                    "annotations": template.get("annotations") or {},
                },
                "spec": _pod(
                    migration, runner_image=runner_image, run=_run(migration, phase, plan_sha256, take_over_from)
                ),
            },
        },
    }


def _pod(migration: Migration, *, runner_image: str, run: dict[str, Any]) -> dict[str, Any]:
    template = migration.spec["template"]
    mount = {"name": RUNNER_VOLUME, "mountPath": RUNNER_PATH}
    user = {"runAsUser": RUNNER_USER} if (template.get("podSecurityContext") or {}).get("runAsUser") == 0 else {}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": template.get("podSecurityContext") or {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [
            {
                "name": "runner",
                "image": runner_image,
                "command": ["landfall-operator", "copy-runner", RUNNER_PATH],
                "volumeMounts": [mount],
                "resources": INIT_RESOURCES,
                # By its own user also where the application's container is root.
                "securityContext": {**RESTRICTED, "runAsNonRoot": True, "readOnlyRootFilesystem": True} | user,
            }
        ],
        "containers": [_container(migration, run=run, mount=mount)],
        "volumes": [{"name": RUNNER_VOLUME, "emptyDir": {}}, *(template.get("volumes") or [])],
    }
    for name in (
        "serviceAccountName",
        "imagePullSecrets",
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
    ):
        if template.get(name):
            pod[name] = template[name]
    return pod


def _container(migration: Migration, *, run: dict[str, Any], mount: dict[str, str]) -> dict[str, Any]:
    spec, template = migration.spec, migration.spec["template"]
    database = spec["database"]
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": migration.image,
        "command": [spec["alembic"]["python"], f"{RUNNER_PATH}/runner"],
        # Ours come last: a variable of the template never hides them.
        "env": [
            *(template.get("env") or []),
            {"name": database["env"], "valueFrom": database.get("directUrlFrom") or database["urlFrom"]},
            {"name": "LANDFALL_RUN", "value": json.dumps(run, sort_keys=True)},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "volumeMounts": [mount, *(template.get("volumeMounts") or [])],
        "securityContext": template.get("securityContext") or RESTRICTED,
        "terminationMessagePolicy": "File",
    }
    if spec["alembic"].get("workingDir"):
        container["workingDir"] = spec["alembic"]["workingDir"]
    for name in ("envFrom", "resources", "imagePullPolicy"):
        if template.get(name):
            container[name] = template[name]
    return container


def _run(migration: Migration, phase: str, plan_sha256: str | None, take_over_from: str | None) -> dict[str, Any]:
    """What the runner is told; see `runner/__main__.py`."""
    spec, policy = migration.spec, migration.policy
    return {
        "phase": phase,
        "env": spec["database"]["env"],
        "alembic": {k: v for k, v in spec["alembic"].items() if k not in {"python", "workingDir"}},
        "target": spec["target"],
        "baseline": spec.get("baseline"),
        "owner": {"namespace": migration.namespace, "name": migration.name, "uid": migration.uid},
        "takeOver": spec["database"]["takeOver"],
        "takeOverFrom": take_over_from,
        "planSha256": plan_sha256,
        "connectWaitSeconds": CONNECT_WAIT_SECONDS,
        "deadlineSeconds": seconds(policy["deadline"]),
        "lockWaitSeconds": seconds(policy["lockWait"]),
        "lockTimeoutSeconds": seconds(policy["lockTimeout"]),
        "invalidIndexes": policy["invalidIndexes"],
    }
