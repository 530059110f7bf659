"""Conditions as kstatus reads them: Ready, Reconciling and Stalled, of which at most one of the latter is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from landfall_operator.constants import MESSAGE_CHARACTERS
from landfall_operator.resource import Json, stamp

Kind = Literal["ready", "reconciling", "stalled", "idle"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where a resource stands: one kind, one reason (CamelCase), one message for people.

    idle: at rest, and not ready: planned only, or suspended.
    """

    kind: Kind
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """A condition of its own besides where the resource stands, such as what a server lacks."""

    type: str
    true: bool
    reason: str
    message: str


def conditions(
    verdict: Verdict, *, previous: Sequence[Json], generation: int, now: datetime, notes: Sequence[Note] = ()
) -> list[dict[str, Any]]:
    kinds = {"Ready": "ready", "Reconciling": "reconciling", "Stalled": "stalled"}
    wanted = [
        Note(type=name, true=verdict.kind == kind, reason=verdict.reason, message=verdict.message)
        for name, kind in kinds.items()
    ]
    old = {condition["type"]: condition for condition in previous}
    made = []
    for note in (*wanted, *notes):
        before, state = old.get(note.type), "True" if note.true else "False"
        changed = before is None or before["status"] != state
        made.append(
            {
                "type": note.type,
                "status": state,
                "reason": note.reason,
                "message": note.message[:MESSAGE_CHARACTERS],
                "observedGeneration": generation,
                "lastTransitionTime": stamp(now) if changed or before is None else before["lastTransitionTime"],
            }
        )
    return made


def condition(status: Json, name: str) -> Json:
    return next((c for c in status.get("conditions") or [] if c["type"] == name), {})
