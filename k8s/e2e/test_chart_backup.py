"""Backups of the PostGIS chart on a cluster: what is dumped comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Namespace, run, until
from postgis import Postgis, image_value, resources
from stores import Store, bucket

CHECKSUMS = (
    "SELECT (SELECT count(*) FROM sites), (SELECT md5(string_agg(sites::text, ',' ORDER BY id)) FROM sites),"
    " (SELECT count(*) FROM extra.notes), (SELECT version_num FROM alembic_version)"
)
STEPS = {"backup": ("dump", "put"), "restore": ("get", "restore")}
OVERWRITE = ("RESTORE_OVERWRITE=yes",)


@pytest.fixture(scope="module")
def postgis(stage: Namespace, postgres_image: str, operator_image: str, minio: Store) -> Iterator[Postgis]:
    """A release that keeps its dumps in a bucket on MinIO."""
    found = Postgis.new(stage, postgres_image)
    name = f"{found.release.name}-dumps"
    stage.apply(bucket(name, minio, access=[{"name": "backup", "secretName": name}]))
    image = image_value(operator_image)
    backup = {"enabled": True, "bucketSecret": name, "image": image, "resources": resources("256Mi")}
    try:
        stage.settled(name, kind="bucket")
        found.release.install({"backup": backup})
        found.start_client(postgres_image)
        found.sql(
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1');"
            "CREATE TABLE sites (id bigserial PRIMARY KEY, geom geometry(Point, 4326), note text UNIQUE);"
            "CREATE INDEX ON sites USING gist (geom);"
            "INSERT INTO sites (geom, note) SELECT ST_SetSRID(ST_Point(i % 180, i % 90), 4326), md5(i::text)"
            " FROM generate_series(1, 5000) AS i;"
            "CREATE SCHEMA extra; CREATE TABLE extra.notes AS SELECT id AS site_id FROM sites LIMIT 7",
            url="$OWNER_URL",
        )
        yield found
    finally:
        found.uninstall()
        stage.kubectl("delete", "bucket", name, "--wait=false")


def job_ended(postgis: Postgis, kind: str, name: str, *environment: str) -> tuple[bool, str]:
    """Whether a Job made from the CronJob succeeded, and what it printed."""
    job, source = f"{postgis.release.name}-{name}", f"cronjob/{postgis.name}-{kind}"
    text = postgis.stage.kubectl("create", "job", job, "--from", source, "--dry-run=client", "-o", "yaml")
    if environment:
        text = run("kubectl", "set", "env", "--local", "-f", "-", "-o", "yaml", *environment, text=text)
    postgis.stage.kubectl("apply", "-f", "-", text=text)

    def ended() -> set[str]:
        conditions = postgis.stage.get("job", job).get("status", {}).get("conditions", [])
        return {found["type"] for found in conditions if found["status"] == "True"} & {"Complete", "Failed"}

    result = until(ended, seconds=120, what=f"the Job {job} ends")
    printed = "".join(postgis.stage.kubectl("logs", f"job/{job}", "-c", step, check=False) for step in STEPS[kind])
    postgis.stage.kubectl("delete", "job", job, "--wait=false")
    return result == {"Complete"}, printed


def test_a_dropped_table_comes_back_as_it_was(postgis: Postgis) -> None:
    before = postgis.sql(CHECKSUMS)
    assert job_ended(postgis, "backup", "backup-1")[0]
    postgis.sql(
        "DROP TABLE sites; CREATE TABLE newer (); UPDATE alembic_version SET version_num = 'b2'", url="$OWNER_URL"
    )

    restored, printed = job_ended(postgis, "restore", "restore-1", *OVERWRITE)

    assert restored, printed
    assert postgis.sql(CHECKSUMS) == before
    assert "does not exist" in postgis.refused("SELECT FROM newer")
    assert postgis.sql("INSERT INTO sites (note) VALUES ('new') RETURNING id") == "5001"
    assert "permission denied" in postgis.refused("UPDATE alembic_version SET version_num = 'c3'")
    assert "permission denied" in postgis.refused("CREATE TABLE mine ()")


def test_a_database_with_tables_is_not_overwritten_unless_told(postgis: Postgis) -> None:
    assert job_ended(postgis, "backup", "backup-2")[0]
    postgis.sql("CREATE TABLE kept AS SELECT 1", url="$OWNER_URL")

    restored, printed = job_ended(postgis, "restore", "restore-2")

    assert not restored
    assert "is not empty" in printed
    assert "RESTORE_OVERWRITE=yes" in printed
    assert postgis.sql("SELECT count(*) FROM kept") == "1"


def test_a_dump_that_is_not_there_is_named(postgis: Postgis) -> None:
    assert job_ended(postgis, "backup", "backup-3")[0]

    restored, printed = job_ended(postgis, "restore", "restore-3", "RESTORE_KEY=postgis/none.dump", *OVERWRITE)

    assert not restored
    assert "no dump postgis/none.dump in" in printed
