"""The demonstration data: what a newcomer finds, once however often it is added, and never in production."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.seed import DEMO_EMAIL, DEMO_PASSWORD, PLAN, seed
from tests.cli.conftest import Run
from tests.support.secrets import SIGNING_KEY

ON_SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def seeded(client: TestClient) -> TestClient:
    """A client of an application with the demonstration data, logged in as its user."""
    state: Any = client.app.state  # type: ignore[attr-defined]
    with state.database.session() as session:
        assert seed(state.settings, session, state.storage) == 10
    form = {"username": DEMO_EMAIL, "password": DEMO_PASSWORD}
    token = client.post("/api/v1/auth/token", data=form).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def items(client: TestClient, path: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/{path}").json()
    found: list[dict[str, Any]] = answer.get("items") or answer.get("features")
    return found


def test_there_are_five_tasks_two_pending_three_completed_one_overdue(seeded: TestClient) -> None:
    tasks = items(seeded, "tasks")
    assert sorted(task["status"] for task in tasks) == ["completed"] * 3 + ["pending"] * 2
    assert [task["status"] for task in items(seeded, "tasks?overdue=true")] == ["pending"]
    assert len({task["priority"] for task in tasks}) == 4
    assert len({tag for task in tasks for tag in task["tags"]}) > 4


def test_there_are_sites_with_points_and_areas(seeded: TestClient) -> None:
    assert {site["geometry"]["type"] for site in items(seeded, "sites")} == {"Point", "Polygon"}


def test_the_file_can_be_downloaded(seeded: TestClient) -> None:
    (artifact,) = items(seeded, "artifacts")
    assert artifact["state"] == "available"
    download = seeded.get(f"/api/v1/artifacts/{artifact['id']}/download").json()
    answer = seeded.get(download["url"])
    assert (answer.status_code, answer.content) == (200, PLAN)


def test_adding_it_again_adds_what_is_missing_and_nothing_else(seeded: TestClient) -> None:
    state: Any = seeded.app.state  # type: ignore[attr-defined]
    site = next(site for site in items(seeded, "sites") if site["geometry"]["type"] == "Polygon")
    assert seeded.delete(f"/api/v1/sites/{site['id']}").status_code == 204
    with state.database.session() as session:
        assert seed(state.settings, session, state.storage) == 1
        assert seed(state.settings, session, state.storage) == 0
    assert len(items(seeded, "tasks")) == 5


def test_the_command_says_how_much_it_added(run: Run) -> None:
    assert [run("seed").stdout for _ in range(2)] == ["10 rows added\n", "0 rows added\n"]


@ON_SQLITE
def test_production_is_refused_before_anything_is_asked_of_the_database(run: Run) -> None:
    done = run(
        "seed",
        ENVIRONMENT="production",
        DATABASE_URL="postgresql://landfall@127.0.0.1:1/landfall",
        ARTIFACTS_BUCKET="files",
        ARTIFACTS_ACCESS_KEY="name",
        ARTIFACTS_SECRET_KEY="key",
        AUTH_SIGNING_KEYS=SIGNING_KEY,
    )
    assert (done.exit_code, done.complaint.startswith("landfall: ENVIRONMENT: is production")) == (2, True)
