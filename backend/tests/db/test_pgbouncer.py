"""Everything works through PgBouncer in transaction mode: no session state lasts, startup options are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from app.db.session import DatabaseSessionManager
from app.main import create_app
from app.settings import Settings
from tests.conftest import required
from tests.support.api import Api, problem_of, running, site, task
from tests.support.conformance import Document
from tests.support.pgbouncer import find_binary, pgbouncer
from tests.support.settings import make_settings


@pytest.fixture
def bounced(empty_database_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings on an empty database at head, by way of a PgBouncer with a single connection to it."""
    required(find_binary)
    with pgbouncer(empty_database_url) as url:
        yield make_settings(tmp_path, database_url=url)


@pytest.fixture
def apis(bounced: Settings) -> Iterator[tuple[Api, Api]]:
    """Two processes' worth of the service, whose transactions share that connection in turn."""
    document = Document(create_app(bounced).openapi())
    with ExitStack() as stack:
        first, second = (stack.enter_context(running(bounced, document)) for _ in range(2))
        yield first, second


def test_two_services_take_turns_on_one_connection(apis: tuple[Api, Api]) -> None:
    one, other = (api.editor for api in apis)
    assert other.client.get("/readyz").status_code == 200
    key = {"Idempotency-Key": "once"}
    made = one.post("/tasks", json=task(), headers=key)
    assert made.status_code == 201
    path = f"/tasks/{made.json()['id']}"
    assert other.read(path)["title"] == "Read the meter"
    assert one.post("/tasks", json=task(), headers=key).json() == made.json()
    unchanged = {"If-Match": made.headers["ETag"]}
    assert other.patch(path, json={"status": "completed"}, headers=unchanged).status_code == 200
    assert problem_of(one.patch(path, json={}, headers=unchanged)) == (412, "version-mismatch")
    assert [row["id"] for row in other.listed("/tasks", status="completed", count="exact")] == [made.json()["id"]]
    assert one.delete(path).status_code == 204
    assert problem_of(other.get(path)) == (404, "not-found")


def test_sites_artifacts_users_and_the_audit_work_through_it(apis: tuple[Api, Api]) -> None:
    one, other = apis
    made = one.editor.create("/sites", site())
    assert [row["id"] for row in other.viewer.listed("/sites", bbox="13,52,14,53")] == [made["id"]]
    assert [row["id"] for row in other.viewer.listed("/sites", near="13.4,52.5,100")] == [made["id"]]
    digest = hashlib.sha256(b"plan").hexdigest()
    announced = {"file_name": "plan.txt", "media_type": "text/plain", "size_bytes": 4, "sha256": digest}
    artifact = one.editor.create("/artifacts", announced)
    assert other.viewer.read(f"/artifacts/{artifact['id']}")["state"] == "pending"
    assert one.login(other.admin.email).status_code == 200
    assert "site.create" in {row["action"] for row in other.admin.listed("/audit-events")}


def test_a_read_leaves_no_read_only_session_behind(apis: tuple[Api, Api]) -> None:
    one, other = (api.editor for api in apis)
    for number in range(20):
        assert one.get("/tasks").status_code == 200
        assert other.post("/tasks", json=task(title=f"Task {number}")).status_code == 201
    assert len(one.listed("/tasks", limit=100)) == 20


def test_the_statement_timeout_is_not_left_to_the_next_client(bounced: Settings) -> None:
    with DatabaseSessionManager(bounced.database) as database, database.session() as session, session.begin():
        assert session.scalar(text("SHOW statement_timeout")) == "10s"
    stranger = create_engine(bounced.database.sqlalchemy_url(), poolclass=NullPool)
    with stranger.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
