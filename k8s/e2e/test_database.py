"""What the server and what stands before it do: away, killed, pooled, busy."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Namespace, condition, migration, secret, until
from conftest import delete_migrations
from servers import PASSWORD, USER, Database, Server
from watching import Watch

AWAY_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 1.0  # the policy's default
SLACK_SECONDS = 0.2
READS_PER_SECOND = 100
READ_SECONDS = 25
LONG_READ = "BEGIN; SELECT count(*) FROM busy; SELECT pg_sleep(9); COMMIT"
# By the rate's schedule, so that a read that could not even begin counts as late; a client for each that may wait.
PGBENCH = f"pgbench -n -h /tmp -U {USER} -R {READS_PER_SECOND} -j 2 -T {READ_SECONDS} -l"
READERS = f"""
cd /tmp && rm -f busy.* quiet.*
for table in busy quiet; do echo "SELECT count(*) FROM $table;" > $table; done
{PGBENCH} -c 20 -f quiet --log-prefix=quiet. DATABASE >&2 &
{PGBENCH} -c 150 -f busy --log-prefix=busy. DATABASE >&2
wait
for table in busy quiet; do cut -d ' ' -f 3 $table.* | sed "s/^/$table /"; done
"""


@pytest.fixture(scope="module")
def fragile(stage: Namespace, postgres_image: str) -> Iterator[Server]:
    """A server that the tests here stop and kill."""
    server = Server(stage=stage, name=f"pg-{uuid.uuid4().hex[:6]}")
    server.install(postgres_image)
    server.prepare()
    yield server
    server.uninstall()


def start_held(stage: Namespace, name: str, *, image: str, database: Database) -> None:
    """A Migration in the middle of its revision, whose statement the server carries out."""
    database.hold()
    stage.apply(migration(name, case="held", image=image, secret=database.secret))
    until(database.is_held, seconds=60, what=f"{name} is in its revision")


def test_a_server_killed_in_the_middle_of_a_revision_ends_up_migrated(
    stage: Namespace, fragile: Server, app_image: str, unique: str
) -> None:
    database = fragile.create(1, namespace=stage)[0]
    start_held(stage, unique, image=app_image, database=database)
    stage.kubectl("exec", f"deploy/{fragile.name}", "--", "bash", "-c", "kill -QUIT 1")  # PostgreSQL's immediate end
    stage.kubectl("rollout", "status", f"deployment/{fragile.name}", "--timeout=60s")
    until(fragile.answers, seconds=60, what="the server is back")
    database.release()
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=90s")
    assert database.sql("SELECT count(*) FROM audit") == "1"
    assert database.sql("SELECT version_num FROM alembic_version") == "a1"


def test_a_minute_without_the_server_heals_by_itself(
    stage: Namespace, fragile: Server, app_image: str, unique: str
) -> None:
    resting, running, late = fragile.create(3, namespace=stage)
    stage.apply(migration(f"{unique}-resting", case="plain", image=app_image, secret=resting.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}-resting", "--timeout=60s")
    start_held(stage, f"{unique}-running", image=app_image, database=running)
    before = stage.get("migration", f"{unique}-resting")  # not at once: what is ready is written once more
    with Watch(stage, "migrations", "{.metadata.name} {.status.conditions[?(@.type=='Stalled')].status}") as watch:
        away(
            stage,
            fragile,
            lambda: stage.apply(migration(f"{unique}-late", case="plain", image=app_image, secret=late.secret)),
        )
        running.release()
        for name in ("running", "late"):
            stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}-{name}", "--timeout=60s")
    assert not [line for line in watch.first if line.startswith(unique) and line.endswith("True")]
    assert (running.sql("SELECT count(*) FROM audit"), late.sql("SELECT * FROM alembic_version")) == ("1", "b2")
    after = stage.get("migration", f"{unique}-resting")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def away(stage: Namespace, server: Server, meanwhile: Callable[[], None]) -> None:
    """Take the server away for as long as the bar says: the time itself is what is tested."""
    began = time.monotonic()
    stage.kubectl("scale", f"deploy/{server.name}", "--replicas=0")
    until(lambda: not stage.list("pod", labels=f"app={server.name}"), seconds=30, what="the server is gone")
    meanwhile()
    time.sleep(began + AWAY_SECONDS - time.monotonic())
    stage.kubectl("scale", f"deploy/{server.name}", "--replicas=1")
    stage.kubectl("rollout", "status", f"deployment/{server.name}", "--timeout=60s")


@pytest.fixture(scope="module")
def poolers(stage: Namespace, server: Server, postgres_image: str) -> Iterator[str]:
    """PgBouncer before the shared server: on port 6432 in transaction mode, on 6433 in session mode."""
    name = f"pool-{uuid.uuid4().hex[:6]}"
    text = (Path(__file__).parent / "poolers.yaml").read_text()
    for word, value in {
        "NAME": name,
        "SERVER": server.host,
        "IMAGE": postgres_image,
        "USER": USER,
        "PASSWORD": PASSWORD,
    }.items():
        text = text.replace(word, value)
    stage.apply(*yaml.safe_load_all(text))
    stage.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    yield f"{name}.{stage.name}.svc"
    stage.kubectl("delete", "--wait=false", f"deploy/{name}", f"svc/{name}", f"configmap/{name}")


@pytest.fixture(scope="module")
def pooled(stage: Namespace, server: Server, poolers: str, app_image: str) -> Iterator[tuple[str, dict[str, Database]]]:
    """Three Migrations at rest: through a transaction pooler, beside it, and through a session pooler."""
    prefix = f"p{uuid.uuid4().hex[:6]}"
    databases = dict(zip(("transaction", "direct", "session"), server.create(3, namespace=stage), strict=True))
    bodies = []
    for mode, database in databases.items():
        host = f"{poolers}:{6433 if mode == 'session' else 6432}"
        stage.apply(secret(f"{database.name}-pooled", server.url(database.name, host=host)))
        direct = {"directUrlFrom": {"secretKeyRef": {"name": database.secret, "key": "DATABASE_URL"}}}
        bodies.append(
            migration(
                f"{prefix}-{mode}",
                case="plain",
                image=app_image,
                secret=f"{database.name}-pooled",
                database=direct if mode == "direct" else {},
            )
        )
    stage.apply(*bodies)
    stage.all_settled(prefix)
    yield prefix, databases
    delete_migrations(stage, prefix)


def test_a_transaction_pooler_is_refused_with_the_remedy(
    stage: Namespace, pooled: tuple[str, dict[str, Database]]
) -> None:
    prefix, databases = pooled
    body = stage.get("migration", f"{prefix}-transaction")
    stalled = condition(body, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "PoolerUnsafe")
    assert "pooler in transaction mode" in stalled["message"]
    assert "spec.database.directUrlFrom" in stalled["message"]
    assert body["status"]["attempts"] == 1
    left = "SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'public'), (SELECT count(*) FROM pg_locks l"
    left += (
        " JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = current_database())"
    )
    assert databases["transaction"].sql(left) == "0|0"


@pytest.mark.parametrize("mode", ["direct", "session"])
def test_beside_the_pooler_or_in_session_mode_it_is_migrated(
    stage: Namespace, pooled: tuple[str, dict[str, Database]], mode: str
) -> None:
    prefix, databases = pooled
    assert condition(stage.get("migration", f"{prefix}-{mode}"), "Ready")["status"] == "True"
    assert databases[mode].sql("SELECT version_num FROM alembic_version") == "b2"


@pytest.mark.alone
def test_readers_stall_no_longer_than_the_lock_timeout(
    stage: Namespace,
    database: Database,
    app_image: str,
    unique: str,
    record_property: Callable[[str, object], None],
) -> None:
    for table in ("busy", "quiet"):
        database.sql(f"CREATE TABLE {table} AS SELECT generate_series(1, 100); ALTER TABLE {table} OWNER TO {USER}")
    readers = start(stage, "bash", "-c", READERS.replace("DATABASE", database.name))
    started = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = current_database()"
    )
    until(lambda: int(database.sql(started)) >= 170, seconds=20, what="the readers read")
    long_reader = start(stage, "psql", "-h", "/tmp", "-U", USER, "-d", database.name, "-c", LONG_READ)
    stage.apply(migration(unique, case="altering", image=app_image, secret=database.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    long_reader.communicate(timeout=30)
    reads, errors = readers.communicate(timeout=60)
    assert readers.returncode == 0, errors
    busy, quiet = latencies(reads, "busy"), latencies(reads, "quiet")
    record_property("longest", f"{busy[-1]} of {len(busy)}; of a table that nobody alters {quiet[-1]}")
    assert len(busy) > 0.9 * READS_PER_SECOND * READ_SECONDS
    assert busy[-1] > LOCK_TIMEOUT_SECONDS / 2, "the revision never waited for its lock, so nothing is shown"
    # What the reads of a table that nobody alters suffer meanwhile is the machine's doing.
    assert busy[-1] <= LOCK_TIMEOUT_SECONDS + SLACK_SECONDS + quiet[-1]
    assert_tries_are_told(stage, unique)


def latencies(reads: str, table: str) -> list[float]:
    """The seconds that each read of the table took, from the moment when the schedule wanted it, sorted."""
    found = (line.split() for line in reads.splitlines())
    return sorted(int(words[1]) / 1e6 for words in found if words[0] == table)


def start(stage: Namespace, *command: str) -> subprocess.Popen[str]:
    """A command in the shared server's pod that goes on meanwhile."""
    full = ["kubectl", "-n", stage.name, "exec", "deploy/pg", "--", *command]
    return subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_tries_are_told(stage: Namespace, name: str) -> None:
    body = stage.get("migration", name)
    lines = stage.kubectl("logs", f"job/{body['status']['runner']['job']}", "-c", "migrate").splitlines()
    again = [line for line in lines if line.startswith("landfall-progress: trying again in ")]
    assert again
    assert "lock timeout" in again[0]
    report = json.loads(next(line for line in reversed(lines) if line.startswith("landfall: ")).partition(" ")[2])
    assert report["tries"] == len(again) + 1
    assert body["status"]["attempts"] == 1
