"""Probes and the health report over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.db.schema_state import SchemaInspector
from app.db.session import DatabaseSessionManager
from app.main import create_app
from app.settings import DatabaseSettings, Settings

HEAD = SchemaInspector().head


def test_a_process_that_runs_says_so(client: TestClient) -> None:
    assert (client.get("/healthz").status_code, client.get("/healthz").json()) == (200, {"status": "ok"})


def test_readiness_names_each_check_with_its_latency(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    checks = answer.json()["checks"]
    assert {name: (check["ready"], check["detail"]) for name, check in checks.items()} == {
        "database": (True, "answers"),
        "storage": (True, "answers"),
        "schema": (True, f"at {HEAD}"),
    }
    assert all(0 < check["latency_ms"] < 1000 for check in checks.values())


def test_people_get_the_same_with_the_revisions_and_the_time_of_the_start(client: TestClient) -> None:
    report = client.get("/api/v1/health").json()
    assert report["checks"] == client.get("/readyz").json()["checks"]
    assert (report["alembic_version"], report["alembic_head"]) == (HEAD, HEAD)
    started = datetime.fromisoformat(report["started_at"])
    assert timedelta(0) < datetime.now(UTC) - started < timedelta(minutes=1)
    assert report["version"]


def test_a_store_that_is_away_makes_the_process_unready_but_not_dead(client: TestClient, settings: Settings) -> None:
    settings.artifacts.directory.write_text("not a directory")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert [name for name, check in answer.json()["checks"].items() if not check["ready"]] == ["storage"]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_schema_that_is_behind_is_unready_with_the_advice_and_a_newer_one_is_ready(settings: Settings) -> None:
    for revision, status, advice in (
        ("a1f0c2d9e301", 503, f"the database is at a1f0c2d9e301, this code needs {HEAD}: run `landfall migrate`"),
        ("ffffffffffff", 200, f"the database is at ffffffffffff, newer than this code's {HEAD}: that is fine"),
    ):
        with DatabaseSessionManager(settings.database) as database, database.session() as session, session.begin():
            session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        with TestClient(create_app(settings)) as client:
            answer = client.get("/readyz")
            report = client.get("/api/v1/health").json()
        assert answer.status_code == status
        assert answer.json()["checks"]["schema"]["detail"] == advice
        assert report["alembic_version"] == revision


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_database_without_a_schema_is_unready_and_has_no_revision(settings: Settings) -> None:
    empty = DatabaseSettings(sqlite_path=settings.database.sqlite_path.with_name("empty.sqlite3"))
    with TestClient(create_app(settings.model_copy(update={"database": empty}))) as client:
        answer = client.get("/readyz")
        report = client.get("/api/v1/health").json()
    assert answer.status_code == 503
    assert "has no schema of ours" in answer.json()["checks"]["schema"]["detail"]
    assert report["alembic_version"] is None
