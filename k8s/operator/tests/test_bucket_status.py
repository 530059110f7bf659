"""A status says where a Bucket stands, and forgets nothing that a failed look could not know."""

from __future__ import annotations

from bucket_builders import ENDPOINT, bucket
from builders import NOW

from landfall_operator.bucket_status import good, next_status, stopped
from landfall_operator.conditions import condition
from landfall_operator.resource import Json

AWAY = ("StoreUnreachable", "nothing listens there.")
FULL = "The bucket is full."


def ready(*, unsupported: tuple[str, ...] = (), full: str | None = None) -> Json:
    of = bucket()
    outcome = good(of, origin="Created", keys=[], unsupported=unsupported, full=full, seconds=600)
    return next_status(of, outcome, generation=3, now=NOW)


def test_a_good_look_tells_whose_the_bucket_is_and_forgets_the_intent() -> None:
    status = ready()
    assert (status["origin"], status["endpoint"], status["creating"]) == ("Created", ENDPOINT, None)
    assert condition(status, "Ready")["status"] == "True"


def test_what_the_server_lacks_and_a_full_bucket_are_told_and_leave_it_ready() -> None:
    status = ready(unsupported=("cors",), full=FULL)
    assert condition(status, "Ready")["status"] == "True"
    assert (condition(status, "FeaturesSupported")["status"], status["unsupported"]) == ("False", ["cors"])
    assert "cors" in condition(status, "FeaturesSupported")["message"]
    assert condition(status, "QuotaExceeded")["message"] == FULL


def test_a_look_that_fails_keeps_what_the_last_one_knew() -> None:
    of = bucket(status=dict(ready(full=FULL)))
    status = next_status(of, stopped(of, *AWAY, transient=True, seconds=2), generation=3, now=NOW)
    assert (status["origin"], status["access"]) == ("Created", [])
    assert condition(status, "QuotaExceeded")["status"] == "True"
    assert [condition(status, name)["status"] for name in ("Ready", "Reconciling", "Stalled")] == [
        "False",
        "True",
        "False",
    ]


def test_an_intent_survives_a_look_that_fails() -> None:
    of = bucket(status={"creating": ENDPOINT})
    status = next_status(of, stopped(of, *AWAY, transient=True, seconds=2), generation=3, now=NOW)
    assert status["creating"] == ENDPOINT


def test_a_deletion_that_cannot_go_on_says_how_to_let_go() -> None:
    of = bucket(deleted="2026-11-21T12:00:00Z", deletionPolicy="Delete")
    assert "Retain" in stopped(of, *AWAY, transient=True, seconds=2).verdict.message
