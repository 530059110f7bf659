"""Whether a Migration has got where a waiter wants it: a pure look, for the spec as it stands now."""

from __future__ import annotations

from dataclasses import dataclass

from landfall_operator.cli.show import is_unseen
from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_RETRY
from landfall_operator.views import Json, Migration


@dataclass(frozen=True, kw_only=True)
class Look:
    """`over` where nothing more is to be waited for; then `ready` says how it ended."""

    over: bool
    ready: bool = False
    text: str


def look(body: Json, *, image: str | None) -> Look:
    """`image` is the one that the Migration stands for now."""
    status: Json = body.get("status") or {}
    ready, stalled = condition(status, "Ready"), condition(status, "Stalled")
    text = f"{ready.get('reason', 'Unknown')}: {ready.get('message', '')}"
    if is_unseen(body):
        generation = body["metadata"].get("generation")
        return Look(over=False, text=f"the operator has not looked at the spec's generation {generation} yet")
    if _moved(body, image):
        return Look(over=False, text="the operator has not looked at the newest image or retry yet")
    if ready.get("status") == "True":
        return Look(over=True, ready=True, text=text)
    if stalled.get("status") == "True":
        return Look(over=True, text=text)
    if condition(status, "Reconciling").get("status") == "False":
        return Look(over=True, text=f"it is at rest, and not ready: {text}")
    return Look(over=False, text=text)


def _moved(body: Json, image: str | None) -> bool:
    """A retry, or a new image of a followed Deployment, changes the work and not the generation."""
    metadata: Json = body["metadata"]
    if ANNOTATION_RETRY not in (metadata.get("annotations") or {}) and not body["spec"].get("from"):
        return False  # the generation tells all, also of an operator of another version
    job = ((body.get("status") or {}).get("runner") or {}).get("job")
    return job is not None and f"-{Migration(body=body, image=image).run_key}-" not in job
