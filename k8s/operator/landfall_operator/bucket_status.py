"""What a look at a Bucket came to, and the status that tells it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from landfall_operator.bucket_access import Keys
from landfall_operator.conditions import Note, Verdict, conditions
from landfall_operator.constants import ANNOTATION_ROTATE
from landfall_operator.resource import Bucket, Json

# What a look that fails says nothing new about.
KEPT = ("origin", "endpoint", "creating", "rotatedFor", "access", "unsupported")
NOTES = ("FeaturesSupported", "QuotaExceeded")
LET_GO = "To let this Bucket go and leave the bucket as it is, set spec.deletionPolicy to Retain."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`fields` are those of the status that it says something new about; `seconds` until the next look."""

    verdict: Verdict
    seconds: float
    fields: Json = field(default_factory=dict)
    notes: Sequence[Note] | None = None
    released: bool = False  # nothing is owed any more


RELEASED = Outcome(verdict=Verdict(kind="idle", reason="", message=""), seconds=0, released=True)


def good(
    bucket: Bucket, *, origin: str, keys: Sequence[Keys], unsupported: Sequence[str], full: str | None, seconds: float
) -> Outcome:
    """`full` is what to say of a quota that is reached."""
    name, lacks = bucket.spec["bucketName"], ", ".join(unsupported)
    message = f"The bucket {name} is as the spec says."
    if unsupported:
        message = f"The bucket {name} is as the spec says, but for what the server cannot do: {lacks}."
    notes = [
        Note(
            type="FeaturesSupported",
            true=not unsupported,
            reason="Unsupported" if unsupported else "Supported",
            message=f"The server lacks: {lacks}. Remove that from the spec, or use a server that has it."
            if unsupported
            else "The server can do all that the spec asks for.",
        ),
        Note(
            type="QuotaExceeded",
            true=full is not None,
            reason="QuotaFull" if full else "QuotaLeft",
            message=full or "The bucket may take more.",
        ),
    ]
    fields = {
        "origin": origin,
        "endpoint": bucket.spec["store"]["endpoint"],
        "creating": None,
        "rotatedFor": keys[0].marks.rotated_for if keys else bucket.annotations.get(ANNOTATION_ROTATE),
        "access": [each.status() for each in keys],
        "unsupported": list(unsupported),
    }
    verdict = Verdict(kind="ready", reason="Ready", message=message)
    return Outcome(verdict=verdict, fields=fields, notes=notes, seconds=seconds)


def stopped(bucket: Bucket, reason: str, message: str, *, transient: bool, seconds: float) -> Outcome:
    """Something is in the way; it is looked at again all the same, since most of it is mended elsewhere."""
    if bucket.deleted_at:
        message = f"{message} {LET_GO}"
    verdict = Verdict(kind="reconciling" if transient else "stalled", reason=reason, message=message)
    return Outcome(verdict=verdict, seconds=seconds)


def next_status(bucket: Bucket, outcome: Outcome, *, generation: int, now: datetime) -> dict[str, Any]:
    """`generation` is the one that was looked at."""
    old = bucket.status
    status = {name: old.get(name) for name in KEPT} | dict(outcome.fields)
    previous = old.get("conditions") or []
    status["observedGeneration"] = generation
    made = conditions(outcome.verdict, previous=previous, generation=generation, now=now, notes=outcome.notes or ())
    if outcome.notes is None:
        made += [dict(c) for c in previous if c["type"] in NOTES]
    status["conditions"] = made
    return status
