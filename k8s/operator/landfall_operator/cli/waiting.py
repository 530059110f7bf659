"""Whether a resource has got where a waiter wants it: a pure look, for the spec as it stands now."""

from __future__ import annotations

from dataclasses import dataclass

from landfall_operator.cli.show import is_unseen
from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_RETRY, ANNOTATION_ROTATE
from landfall_operator.resource import Json
from landfall_operator.views import Migration


@dataclass(frozen=True, kw_only=True)
class Look:
    """`over` where nothing more is to be waited for; then `ready` says how it ended."""

    over: bool
    ready: bool = False
    text: str


def look(body: Json, *, image: str | None = None) -> Look:
    """`image` is the one that a Migration stands for now."""
    status: Json = body.get("status") or {}
    ready, stalled = condition(status, "Ready"), condition(status, "Stalled")
    text = f"{ready.get('reason', 'Unknown')}: {ready.get('message', '')}"
    if owed := _owed(body, image):
        return Look(over=False, text=f"the operator has not {owed} yet")
    if ready.get("status") == "True":
        return Look(over=True, ready=True, text=text)
    if stalled.get("status") == "True":
        return Look(over=True, text=text)
    if condition(status, "Reconciling").get("status") == "False":
        return Look(over=True, text=f"it is at rest, and not ready: {text}")
    return Look(over=False, text=text)


def _owed(body: Json, image: str | None) -> str | None:
    """What was asked for and the status does not tell of."""
    if is_unseen(body):
        return f"looked at the spec's generation {body['metadata'].get('generation')}"
    if _moved(body, image) if body["kind"] == "Migration" else _asked_again(body):
        return "looked at the newest image or retry"
    ready = condition(body.get("status") or {}, "Ready").get("status") == "True"
    return "rotated" if ready and _rotation_owed(body) else None


def _moved(body: Json, image: str | None) -> bool:
    """A retry, or a new image of a followed Deployment, changes the work and not the generation."""
    if ANNOTATION_RETRY not in _annotations(body) and not body["spec"].get("from"):
        return False  # the generation tells all, also of an operator of another version
    job = ((body.get("status") or {}).get("runner") or {}).get("job")
    return job is not None and f"-{Migration(body=body, image=image).run_key}-" not in job


def _asked_again(body: Json) -> bool:
    asked = _annotations(body).get(ANNOTATION_RETRY)
    return asked is not None and (body.get("status") or {}).get("retriedFor") != asked


def _rotation_owed(body: Json) -> bool:
    asked = _annotations(body).get(ANNOTATION_ROTATE)
    return asked is not None and body["status"].get("rotatedFor") != asked and why_no_rotation(body) is None


def why_no_rotation(body: Json) -> str | None:
    """Why there is nothing to rotate, with what can be done instead; None where there is something."""
    spec = body["spec"]
    if body["kind"] == "Bucket":
        store = spec["store"]
        if store.get("accounts") == "Shared":
            secret = store["credentialsSecretRef"]["name"]
            return f"its keys are the store's own (accounts: Shared). Change them there and in the Secret {secret}."
        return None if spec.get("access") else "it has no access. Add one to spec.access."
    if any("generate" in value for value in spec["values"].values()):
        return None
    return "nothing of it is generated. Change its values in the spec."


def _annotations(body: Json) -> Json:
    annotations: Json = body["metadata"].get("annotations") or {}
    return annotations
