"""Conditions as kstatus reads them: Ready, Reconciling and Stalled, of which at most one of the latter is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from landfall_operator.constants import MESSAGE_CHARACTERS
from landfall_operator.views import Json, stamp

Kind = Literal["ready", "reconciling", "stalled", "idle"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where a resource stands: one kind, one reason (CamelCase), one message for people.

    idle: at rest, and not ready: planned only, or suspended.
    """

    kind: Kind
    reason: str
    message: str


def conditions(verdict: Verdict, *, previous: Sequence[Json], generation: int, now: datetime) -> list[dict[str, Any]]:
    states = {
        "Ready": "True" if verdict.kind == "ready" else "False",
        "Reconciling": "True" if verdict.kind == "reconciling" else "False",
        "Stalled": "True" if verdict.kind == "stalled" else "False",
    }
    old = {condition["type"]: condition for condition in previous}
    message = verdict.message[:MESSAGE_CHARACTERS]
    made = []
    for name, state in states.items():
        before = old.get(name)
        changed = before is None or before["status"] != state
        made.append(
            {
                "type": name,
                "status": state,
                "reason": verdict.reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": stamp(now) if changed or before is None else before["lastTransitionTime"],
            }
        )
    return made


def condition(status: Json, name: str) -> Json:
    return next((c for c in status.get("conditions") or [] if c["type"] == name), {})
