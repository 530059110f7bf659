"""Least privilege, shown by the API server's audit log of the whole suite."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit import Log, granted, read
from cluster import ROOT

pytestmark = pytest.mark.last

STARTED = datetime.now(UTC)  # tests are imported before the first of them runs
VARIABLE = "LANDFALL_E2E_AUDIT_LOG"
MISSING = (
    f"{VARIABLE} does not name the API server's audit log: start the API server with --audit-log-path and a policy "
    "of level Metadata, and give the file's path"
)


@pytest.fixture(scope="module")
def log(request: pytest.FixtureRequest) -> Log:
    collected = {item.path for item in request.session.items}
    if missing := [path.name for path in Path(__file__).parent.glob("test_*.py") if path not in collected]:
        pytest.skip(f"only the whole suite uses all that the operator may do; not run: {', '.join(sorted(missing))}")
    path = Path(os.environ.get(VARIABLE, ""))
    if not path.is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    found = read(path, since=STARTED)
    assert found.requests, f"{path} has no request of this run's operators: is it this cluster's log?"
    return found


def test_the_operator_is_refused_nothing(log: Log) -> None:
    refused = {(request.verb, request.uri, request.code) for request in log.refusals()}
    assert not refused


def test_every_permission_is_used(log: Log) -> None:
    used = {verb for request in log.requests if request.code < 400 for verb in request.used}
    assert granted(ROOT / "k8s/operator/install.yaml") - used == set()


def test_secrets_are_asked_for_by_their_names_only(log: Log) -> None:
    verbs = {request.verb for request in log.requests if request.resource == "secrets"}
    assert verbs == {"get", "create", "patch", "delete"}
