"""Migrations on a real cluster: applied, planned, approved, refused."""

from __future__ import annotations

import pytest
from cluster import Namespace, migration, until


def ready(stage: Namespace, name: str) -> str:
    return str(stage.condition(name, "Ready").get("status"))


def test_a_migration_brings_the_database_to_head(stage: Namespace, app_image: str) -> None:
    stage.apply(migration("api", case="plain", image=app_image))
    stage.kubectl("wait", "--for=condition=Ready", "migration/api", "--timeout=60s")
    status = stage.get("migration", "api")["status"]
    assert (status["state"], status["currentRevision"], status["pendingCount"]) == ("UpToDate", "b2", 0)
    assert stage.sql("SELECT version_num FROM alembic_version") == "b2"
    assert status["imageDigest"].startswith("sha256:")


def test_mode_plan_writes_nothing_and_shows_the_sql(stage: Namespace, app_image: str) -> None:
    stage.apply(migration("api", case="plain", image=app_image, mode="Plan"))
    body = stage.settled("api")
    assert stage.sql("SELECT count(*) FROM pg_class WHERE relname IN ('alembic_version', 'things')") == "0"
    sql = stage.get("configmap", body["status"]["plan"]["configMap"])["data"]["plan.sql"]
    assert "CREATE TABLE things" in sql


def test_an_approval_is_for_one_plan_and_void_with_a_new_image(
    stage: Namespace, app_image: str, newer_app_image: str
) -> None:
    stage.apply(migration("api", case="plain", image=app_image, mode="Approve"))
    first = stage.settled("api")["status"]["plan"]
    stage.apply(migration("api", case="plain_newer", image=newer_app_image, mode="Approve"))
    stage.kubectl("annotate", "migration/api", f"landfall.dev/approve={first['sha256']}")
    until(lambda: stage.get("migration", "api")["status"].get("targetRevision") == "c3", seconds=60, what="a new plan")
    stage.settled("api")
    assert stage.condition("api", "Ready")["reason"] == "ApprovalNeeded"
    second = stage.get("migration", "api")["status"]["plan"]
    stage.kubectl("annotate", "--overwrite", "migration/api", f"landfall.dev/approve={second['sha256']}")
    stage.kubectl("wait", "--for=condition=Ready", "migration/api", "--timeout=60s")
    assert stage.sql("SELECT version_num FROM alembic_version") == "c3"


def test_destructive_deny_leaves_the_database_untouched(stage: Namespace, app_image: str) -> None:
    stage.sql("CREATE TABLE things (id serial PRIMARY KEY, old text); ALTER TABLE things OWNER TO app")
    policy = {"destructive": "Deny"}
    stage.apply(migration("api", case="destructive", image=app_image, policy=policy, baseline="a1"))
    body = stage.settled("api")
    assert stage.condition("api", "Stalled")["reason"] == "DestructiveDenied"
    assert next(f["rule"] for f in body["status"]["plan"]["findings"]) == "ban-drop-column"
    assert stage.sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'old'") == "1"
    assert stage.sql("SELECT to_regclass('alembic_version') IS NULL") == "t"


@pytest.mark.parametrize(
    ("case", "reason", "words"),
    [("failing", "StatementFailed", "missing"), ("module_missing", "ModuleMissing", "there_is_no_such_module")],
)
def test_a_permanent_failure_is_told_after_one_attempt(
    stage: Namespace, app_image: str, case: str, reason: str, words: str
) -> None:
    stage.apply(migration("api", case=case, image=app_image))
    body = stage.settled("api")
    stalled = stage.condition("api", "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", reason)
    assert words in stalled["message"]
    assert body["status"]["attempts"] == 1
    assert len(stage.list("job")) == 1


def test_a_second_claimant_is_in_conflict_until_the_first_is_gone(stage: Namespace, app_image: str) -> None:
    stage.apply(migration("first", case="plain", image=app_image))
    stage.kubectl("wait", "--for=condition=Ready", "migration/first", "--timeout=60s")
    stage.apply(migration("second", case="plain", image=app_image))
    stage.settled("second")
    assert stage.condition("second", "Stalled")["reason"] == "Conflict"
    assert f"{stage.name}/first" in stage.condition("second", "Stalled")["message"]
    stage.kubectl("delete", "migration/first", "--timeout=20s")
    stage.kubectl("wait", "--for=condition=Ready", "migration/second", "--timeout=60s")


def test_after_a_rollback_the_database_is_ahead_and_ready(
    stage: Namespace, app_image: str, newer_app_image: str
) -> None:
    stage.apply(migration("api", case="plain_newer", image=newer_app_image))
    stage.kubectl("wait", "--for=condition=Ready", "migration/api", "--timeout=60s")
    stage.apply(migration("api", case="plain", image=app_image))
    body = stage.settled("api")
    assert body["status"]["state"] == "Ahead"
    assert ready(stage, "api") == "True"


def test_a_new_image_during_a_run_waits_for_its_end(stage: Namespace, app_image: str, newer_app_image: str) -> None:
    stage.apply(migration("api", case="slow", image=app_image))
    job = until(lambda: next(iter(stage.list("job")), None), seconds=20, what="a Job")
    until(lambda: stage.get("job", job["metadata"]["name"])["status"].get("ready"), seconds=30, what="the Job runs")
    stage.apply(migration("api", case="slow", image=newer_app_image))
    body = stage.settled("api", seconds=120)
    first = stage.get("job", job["metadata"]["name"])
    assert first["metadata"]["uid"] == job["metadata"]["uid"]
    assert first["status"]["succeeded"] == 1
    assert [entry["image"] for entry in body["status"]["history"]] == [newer_app_image, app_image]
    assert stage.sql("SELECT count(*), count(DISTINCT revision) FROM audit") == "15|15"
