"""Events tell transitions: a log of every step would hide them."""

from __future__ import annotations

import pytest

from landfall_operator.conditions import Verdict
from landfall_operator.reconciling import is_transition


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Pending", "Applying", True),
        ("Applying", "Running", False),
        ("Running", "Running", False),
        ("Running", "UpToDate", True),
        ("UpToDate", "UpToDate", False),
        ("Running", "StatementFailed", True),
        ("StatementFailed", "Applying", True),
        ("Planning", "ApprovalNeeded", True),
    ],
)
def test_an_event_is_told_of(before: str, after: str, *, told: bool) -> None:
    status = {"conditions": [{"type": "Ready", "status": "False", "reason": before}]}
    assert is_transition(status, Verdict(kind="reconciling", reason=after, message="")) == told
