"""The examples are what the API server takes, and do what their first line says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from certificates import Authority
from cluster import RESTRICTED, ROOT, Namespace, run, until
from servers import PASSWORD, USER, Database, Server

EXAMPLES = ROOT / "k8s/examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
Example = Callable[..., None]


def bodies(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / file).read_text()))


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_valid(stage: Namespace, file: str) -> None:
    stage.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(EXAMPLES / file))


@pytest.mark.parametrize("file", FILES)
def test_an_example_says_first_what_it_is_for(file: str) -> None:
    assert (EXAMPLES / file).read_text().startswith("# ")


@pytest.fixture
def example(stage: Namespace, app_image: str, database: Database, unique: str) -> Example:
    """Apply an example with one of our applications as its image and this test's database behind its Secret."""

    def apply(file: str, case: str | None = None, *, suffix: str = "", secret: str = "", **changes: Any) -> None:
        body = next(body for body in bodies(file) if body["kind"] == "Migration")
        spec = body["spec"]
        body["metadata"]["name"] = unique + suffix
        if "image" in spec:
            spec["image"] = app_image
        if case:
            spec["alembic"]["workingDir"] = f"/app/{case}"
        for source in ("urlFrom", "directUrlFrom"):
            if source in spec["database"] and secret:
                spec["database"][source]["secretKeyRef"]["name"] = secret
            elif source in spec["database"]:
                spec["database"][source] = {"secretKeyRef": {"name": database.secret, "key": "DATABASE_URL"}}
        spec.setdefault("template", {}).setdefault("podSecurityContext", RESTRICTED)
        stage.apply(body | {"spec": spec | changes})

    return apply


@pytest.fixture
def held_secret(stage: Namespace, unique: str) -> Iterator[Callable[..., str]]:
    """Make a Secret of this test's own with these keys; returns its name."""

    def hold(**keys: str) -> str:
        stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": unique}, "stringData": keys})
        return unique

    yield hold
    stage.kubectl("delete", "secret", unique, "--ignore-not-found")


def reason(stage: Namespace, name: str) -> str:
    stage.settled(name)
    return str(stage.condition(name, "Ready")["reason"])


@pytest.mark.parametrize("file", ["auto.yaml", "restricted.yaml", "pooler.yaml", "gate.yaml", "destructive.yaml"])
def test_these_bring_the_database_to_head(
    stage: Namespace, database: Database, unique: str, example: Example, file: str
) -> None:
    example(file, "plain")
    assert reason(stage, unique) == "UpToDate"
    assert database.sql("SELECT version_num FROM alembic_version") == "b2"


def test_cloudnativepg_s_secret_is_enough(
    stage: Namespace, database: Database, unique: str, example: Example, held_secret: Callable[..., str]
) -> None:
    url = urlsplit(database.url)
    keys = {
        "username": USER,
        "password": PASSWORD,
        "host": str(url.hostname),
        "port": "5432",
        "dbname": database.name,
        "pgpass": f"{url.hostname}:5432:{database.name}:{USER}:{PASSWORD}\n",
        "uri": database.url,
        "jdbc-uri": f"jdbc:postgresql://{url.hostname}:5432/{database.name}",
    }
    example("cloudnativepg.yaml", "plain", secret=held_secret(**keys))
    assert reason(stage, unique) == "UpToDate"


def test_neon_is_migrated_by_its_direct_endpoint(
    stage: Namespace, database: Database, unique: str, example: Example, held_secret: Callable[..., str]
) -> None:
    keys = {"DATABASE_URL": "postgresql://nobody@pooled.invalid/none", "DATABASE_URL_UNPOOLED": database.url}
    example("neon.yaml", "plain", secret=held_secret(**keys))
    assert reason(stage, unique) == "UpToDate"


def test_an_external_postgresql_s_certificate_is_checked(
    stage: Namespace, own_postgres: Server, unique: str, example: Example, held_secret: Callable[..., str]
) -> None:
    authority = Authority.new()
    own_postgres.speak_tls(*authority.certify(own_postgres.host))
    database = own_postgres.create(1, namespace=stage)[0]
    url = f"{database.url}?sslmode=verify-full&sslrootcert=/etc/database-ca/ca.crt"
    secret = held_secret(DATABASE_URL=url)
    for trusted, expected in ((Authority.new(), "TlsMismatch"), (authority, "UpToDate")):
        stage.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "database-ca"},
                "data": {"ca.crt": trusted.pem},
            }
        )
        example("external-postgres.yaml", "plain", suffix=f"-{expected.lower()}", secret=secret)
        assert reason(stage, f"{unique}-{expected.lower()}") == expected


def test_plan_only_applies_nothing(stage: Namespace, database: Database, unique: str, example: Example) -> None:
    example("plan-only.yaml", "plain")
    assert reason(stage, unique) == "Planned"
    assert database.sql("SELECT to_regclass('things') IS NULL") == "t"


def test_approve_waits_for_people(stage: Namespace, unique: str, example: Example) -> None:
    example("approve.yaml", "plain")
    assert reason(stage, unique) == "ApprovalNeeded"


def test_destructive_waits_only_for_what_loses_something(
    stage: Namespace, database: Database, unique: str, example: Example
) -> None:
    example("destructive.yaml", "destructive")
    assert reason(stage, unique) == "ApprovalNeeded"


def test_baseline_stamps_and_runs_what_is_newer(
    stage: Namespace, database: Database, unique: str, example: Example
) -> None:
    database.sql("CREATE TABLE things (id serial PRIMARY KEY)", "ALTER TABLE things OWNER TO app")
    example("baseline.yaml", "plain", baseline="a1")
    assert reason(stage, unique) == "UpToDate"
    assert database.sql("SELECT version_num FROM alembic_version") == "b2"


def test_a_package_needs_no_ini(stage: Namespace, unique: str, example: Example) -> None:
    example("package.yaml")
    assert reason(stage, unique) == "UpToDate"


def test_two_tenants_of_one_database_are_two_migrations(
    stage: Namespace, database: Database, unique: str, example: Example
) -> None:
    for tenant in ("acme", "globex"):
        database.sql(f"CREATE SCHEMA {tenant} AUTHORIZATION app")
        alembic = {"workingDir": "/app/x_arguments", "x": [f"tenant={tenant}"]}
        example("x-arguments.yaml", suffix=f"-{tenant}", alembic=alembic)
        assert reason(stage, f"{unique}-{tenant}") == "UpToDate"
        assert database.sql(f"SELECT to_regclass('{tenant}.things') IS NOT NULL") == "t"


def test_suspended_starts_nothing_until_it_is_told_to(stage: Namespace, unique: str, example: Example) -> None:
    example("suspended.yaml", "plain")
    assert reason(stage, unique) == "Suspended"
    assert stage.list("job", labels=f"landfall.dev/migration={unique}") == []
    stage.kubectl("patch", "migration", unique, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    assert reason(stage, unique) == "UpToDate"


def test_a_followed_deployments_image_is_migrated(
    stage: Namespace, database: Database, unique: str, app_image: str, newer_app_image: str, example: Example
) -> None:
    deployment = next(body for body in bodies("follow-a-deployment.yaml") if body["kind"] == "Deployment")
    deployment["metadata"]["name"] = unique
    deployment["spec"]["replicas"] = 0
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = app_image
    source = {"deploymentRef": {"name": unique, "container": "api"}}
    try:
        stage.apply(deployment)
        example("follow-a-deployment.yaml", "plain", **{"from": source})
        assert reason(stage, unique) == "UpToDate"
        stage.kubectl("set", "image", f"deployment/{unique}", f"api={newer_app_image}")
        until(
            lambda: (
                (stage.get("migration", unique)["status"].get("history") or [{}])[0].get("image") == newer_app_image
            ),
            seconds=60,
            what="a run of the newer image",
        )
    finally:
        run("kubectl", "-n", stage.name, "delete", "deployment", unique, "--ignore-not-found", "--wait=false")
