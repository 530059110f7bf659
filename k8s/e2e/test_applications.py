"""Applications as people write them: where their config is, how they take the URL, what versions they use."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import Namespace, migration, secret
from servers import Database

NEWEST = "python3"
VERSIONS = {
    "alembic-1.8-sqlalchemy-1.4-psycopg2": "/opt/old/bin/python",
    "alembic-1.13-sqlalchemy-2.0-psycopg2": "/opt/middle/bin/python",
    "newest-psycopg2": NEWEST,
    "newest-psycopg3": "/opt/psycopg3/bin/python",
    "newest-asyncpg-beside-psycopg2": "/opt/async/bin/python",
}
CASES: dict[str, dict[str, Any]] = {
    "ini_elsewhere": {"alembic": {"config": "etc/database.ini", "section": "db"}},
    "no_ini_and_a_package": {
        "alembic": {"workingDir": "/tmp", "config": "alembic.ini", "scriptLocation": "shop:migrations"}
    },
    "url_by_variable": {"database": {"env": "SHOP_DB"}},
}


def ready(stage: Namespace, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The status of a Migration that became ready."""
    stage.apply(body)
    settled = stage.settled(name, seconds=90)
    assert stage.condition(name, "Ready")["status"] == "True", stage.condition(name, "Ready")["message"]
    status: dict[str, Any] = settled["status"]
    return status


def stalled(stage: Namespace, name: str, body: dict[str, Any]) -> tuple[str, str]:
    """The reason and the message of a Migration that stalled."""
    stage.apply(body)
    stage.settled(name, seconds=90)
    condition = stage.condition(name, "Stalled")
    assert condition["status"] == "True", stage.condition(name, "Ready")["message"]
    return condition["reason"], condition["message"]


@pytest.mark.parametrize("python", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("mode", ["Auto", "Plan"])
def test_each_supported_version_is_planned_and_applied(
    stage: Namespace, database: Database, app_image: str, unique: str, python: str, mode: str
) -> None:
    alembic = {"python": python}
    body = migration(unique, case="plain", image=app_image, secret=database.secret, alembic=alembic, mode=mode)
    if mode == "Auto":
        assert ready(stage, unique, body)["currentRevision"] == "b2"
        assert database.sql("SELECT version_num FROM alembic_version") == "b2"
        return
    stage.apply(body)
    plan = stage.settled(unique, seconds=90)["status"]["plan"]
    assert plan["statements"] == 2
    assert "CREATE TABLE others" in stage.get("configmap", plan["configMap"])["data"]["plan.sql"]
    assert database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


@pytest.mark.parametrize("case", CASES)
def test_config_and_url_are_found_where_the_application_has_them(
    stage: Namespace, database: Database, app_image: str, unique: str, case: str
) -> None:
    status = ready(stage, unique, migration(unique, case=case, image=app_image, secret=database.secret, **CASES[case]))
    assert status["currentRevision"] == "a1"
    assert database.sql("SELECT count(*) FROM things") == "0"


def test_x_arguments_reach_env(stage: Namespace, database: Database, app_image: str, unique: str) -> None:
    database.sql("CREATE SCHEMA blue AUTHORIZATION app")
    alembic = {"x": ["tenant=blue"]}
    body = migration(unique, case="x_arguments", image=app_image, secret=database.secret, alembic=alembic)
    ready(stage, unique, body)
    assert database.sql("SELECT version_num FROM blue.alembic_version") == "a1"
    assert database.sql("SELECT count(*) FROM blue.things") == "0"


def test_two_tenants_of_one_database_are_two_owners(
    stage: Namespace, database: Database, app_image: str, unique: str
) -> None:
    for tenant in ("blue", "green"):
        database.sql(f"CREATE SCHEMA {tenant} AUTHORIZATION app")
        body = migration(
            f"{unique}-{tenant}",
            case="x_arguments",
            image=app_image,
            secret=database.secret,
            alembic={"x": [f"tenant={tenant}"]},
        )
        ready(stage, f"{unique}-{tenant}", body)


@pytest.mark.parametrize("case", ["plain", "url_by_variable"])
def test_a_password_with_special_characters_arrives_whole(
    stage: Namespace, database: Database, app_image: str, unique: str, postgres_host: str, case: str
) -> None:
    role = f"role_{unique}"
    database.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'p%4@:/w#ü'", f"GRANT ALL ON SCHEMA public TO {role}")
    url = f"postgresql://{role}:p%254%40%3A%2Fw%23%C3%BC@{postgres_host}/{database.name}"
    stage.apply(secret(unique, url))
    body = migration(unique, case=case, image=app_image, secret=unique, **CASES.get(case, {}))
    ready(stage, unique, body)
    log = stage.kubectl("logs", f"job/{stage.get('migration', unique)['status']['runner']['job']}")
    assert "p%4@" not in log
    assert "p%254" not in log


def test_a_version_table_of_another_name_and_schema(
    stage: Namespace, database: Database, app_image: str, unique: str
) -> None:
    database.sql("CREATE SCHEMA meta AUTHORIZATION app")
    body = migration(
        unique, case="table_elsewhere", image=app_image, secret=database.secret, policy={"destructive": "Deny"}
    )
    status = ready(stage, unique, body)
    assert status["plan"]["statements"] == 1
    assert database.sql("SELECT version_num FROM meta.schema_history") == "a1"
    assert unique in database.sql("SELECT obj_description('meta.schema_history'::regclass)")


@pytest.mark.parametrize(
    ("target", "current", "tables"),
    [
        ("heads", {"a2", "b1"}, "accounts,invoices,logins"),
        ("accounts@head", {"a2"}, "accounts,logins"),
        ("a1", {"a1"}, "accounts"),
    ],
)
def test_branches_in_several_locations(
    stage: Namespace, database: Database, app_image: str, unique: str, target: str, current: set[str], tables: str
) -> None:
    body = migration(unique, case="branches", image=app_image, secret=database.secret, target=target)
    assert set(ready(stage, unique, body)["currentRevision"].split(",")) == current
    ours = "tablename IN ('accounts', 'logins', 'invoices')"
    made = f"SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE {ours}"
    assert database.sql(made) == tables


def test_version_locations_may_be_given_by_the_spec(
    stage: Namespace, database: Database, app_image: str, unique: str
) -> None:
    alembic = {"versionLocations": ["/app/branches/accounts"]}
    body = migration(unique, case="branches", image=app_image, secret=database.secret, alembic=alembic)
    assert ready(stage, unique, body)["currentRevision"] == "a2"


@pytest.mark.parametrize("mode", ["Auto", "Plan"])
def test_an_async_env(
    stage: Namespace, database: Database, app_image: str, unique: str, postgres_host: str, mode: str
) -> None:
    url = database.url.replace("postgresql://", "postgresql+asyncpg://", 1)
    stage.apply(secret(unique, url))
    alembic = {"python": "/opt/async/bin/python"}
    body = migration(unique, case="async_env", image=app_image, secret=unique, alembic=alembic, mode=mode)
    if mode == "Auto":
        assert ready(stage, unique, body)["currentRevision"] == "b2"
        return
    stage.apply(body)
    assert stage.settled(unique)["status"]["plan"]["statements"] == 2


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"alembic": {"python": "nosuch"}}, "InterpreterMissing", "spec.alembic.python"),
        ({"alembic": {"python": "/opt/bare/bin/python"}}, "AlembicMissing", "spec.alembic.python"),
        ({"alembic": {"config": "nosuch.ini"}}, "ConfigMissing", "there is: alembic.ini"),
        ({"alembic": {"workingDir": "/tmp"}}, "ConfigMissing", "workingDir"),
        ({"alembic": {"section": "nosuch"}}, "ConfigMissing", "[nosuch]"),
        ({"alembic": {"scriptLocation": "shop:nosuch"}}, "RevisionsUnusable", "nosuch"),
        ({"alembic": {"python": "/opt/psycopg3/bin/python"}, "database": {"env": "OTHER"}}, "UpToDate", "b2"),
        ({"baseline": "nosuch"}, "BaselineUnknown", "spec.baseline"),
        ({"target": "nosuch"}, "TargetUnknown", "spec.target"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_what_an_image_lacks_is_told(
    stage: Namespace, database: Database, app_image: str, unique: str, changes: dict[str, Any], reason: str, words: str
) -> None:
    body = migration(unique, case="plain", image=app_image, secret=database.secret, **changes)
    if reason == "UpToDate":
        assert ready(stage, unique, body)["currentRevision"] == words
        return
    found, message = stalled(stage, unique, body)
    assert (found, words in message) == (reason, True), message
    assert stage.get("migration", unique)["status"]["attempts"] == 1
