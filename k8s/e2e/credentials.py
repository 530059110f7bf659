"""Credentials for the tests: made, looked at, and asked for another look."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from cluster import Namespace, until

KIND = "credential"
OWNER = "landfall.dev/owner"
ROTATE = "landfall.dev/rotate"
RETRY = "landfall.dev/retry"
MADE: dict[str, Any] = {"generate": {}}


def credential(name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    values = spec.pop("values", {"password": MADE, "user": {"value": "api"}})
    return {
        "apiVersion": "landfall.dev/v1alpha1",
        "kind": "Credential",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"secretName": name, "values": values, **spec},
    }


def held(stage: Namespace, name: str) -> dict[str, str]:
    data = stage.get("secret", name).get("data") or {}
    return {key: base64.b64decode(text).decode() for key, text in data.items()}


def hashes(stage: Namespace, name: str) -> dict[str, str]:
    """What a failed assertion may show."""
    return {key: digest(text) for key, text in held(stage, name).items()}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def ready(stage: Namespace, name: str) -> dict[str, Any]:
    return stage.told(name, "Ready", kind=KIND, seconds=20)


def retried(stage: Namespace, name: str, reason: str) -> dict[str, Any]:
    """What it says after another look that was asked for."""
    wish = str(time.monotonic_ns())
    stage.kubectl("annotate", "--overwrite", KIND, name, f"{RETRY}={wish}")
    until(
        lambda: stage.get(KIND, name)["status"].get("retriedFor") == wish, seconds=20, what=f"{name} is looked at again"
    )
    return stage.told(name, reason, kind=KIND, seconds=5)


def rotated(stage: Namespace, name: str, wish: str) -> dict[str, Any]:
    stage.kubectl("annotate", "--overwrite", KIND, name, f"{ROTATE}={wish}")

    def done() -> dict[str, Any] | None:
        body = stage.get(KIND, name)
        return body if body["status"].get("rotatedFor") == wish else None

    return until(done, seconds=20, what=f"{name} is rotated")


def change(stage: Namespace, kind: str, name: str, patch: dict[str, Any]) -> None:
    stage.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def told(stage: Namespace, name: str) -> list[tuple[str, str]]:
    """The types and reasons of its Events."""
    events = [e for e in stage.list("event") if e["involvedObject"]["kind"] == "Credential"]
    return [(e["type"], e["reason"]) for e in events if e["involvedObject"]["name"] == name]


def versions(stage: Namespace, name: str) -> list[tuple[str, str]]:
    """Of all that belongs to a Credential: which objects, and whether they were written."""
    watch = f"{name}-landfall-watch"
    until(lambda: stage.kubectl("get", "cm", watch, "--ignore-not-found"), seconds=10, what=f"{watch} is there")
    bodies = [stage.get(*found) for found in ((KIND, name), ("secret", name), ("configmap", watch))]
    return [(body["metadata"]["uid"], body["metadata"]["resourceVersion"]) for body in bodies]
