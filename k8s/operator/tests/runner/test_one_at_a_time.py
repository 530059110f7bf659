"""No revision runs twice, whatever dies in the middle, and no try goes on without the lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from landfall_runner.locking import lock_key, working_name
from runner.application import Application, until
from runner.postgres import query

AUDIT = "op.execute('CREATE TABLE audit (revision text)')"
LOCK_HOLDER = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = {oid}"


def note(revision: str) -> str:
    return f"op.execute(\"INSERT INTO audit VALUES ('{revision}')\")"


def audited(app: Application) -> list[object]:
    return [row[0] for row in app.sql("SELECT revision FROM audit ORDER BY 1")]


def lock_holders(app: Application) -> list[object]:
    oid = app.sql("SELECT oid FROM pg_database WHERE datname = current_database()")[0][0]
    return [row[0] for row in app.sql(LOCK_HOLDER.format(oid=oid))]


def test_a_killed_runners_statement_is_ended_before_the_next_run_begins(app: Application) -> None:
    app.revision("a1", None, AUDIT)
    slow = "WITH pause AS MATERIALIZED (SELECT pg_sleep(1.5)) INSERT INTO audit SELECT 'b2' FROM pause"
    app.revision("b2", "a1", "with op.get_context().autocommit_block():", f'    op.execute("{slow}")')
    first = app.start()
    first.waits_for("running the revision b2")
    until(lambda: app.sql("SELECT FROM pg_stat_activity WHERE query ~ '^WITH pause'"), what="the statement runs")
    first.kill()
    run = app.run()
    assert run.reason == "UpToDate"
    pause = "SELECT FROM pg_stat_activity WHERE query ~ '^WITH pause' AND state = 'active'"
    until(lambda: not app.sql(pause), what="nothing is left running")
    assert audited(app) == ["b2"]


def test_runs_at_once_do_each_revision_once(app: Application) -> None:
    app.revision("a1", None, AUDIT, note("a1"))
    held = ["import os, time", "while not os.path.exists('go'):", "    time.sleep(0.02)"]
    app.revision("b2", "a1", note("b2"), *held)
    started = [app.start() for _ in range(4)]
    waiting = "waiting for the lock, held by landfall shop/api (user "
    until(lambda: sum(waiting in run.log.read_text() for run in started) == 3, what="three wait for the fourth")
    (app.directory / "go").touch()
    runs = [run.finish() for run in started]
    assert {run.reason for run in runs} == {"UpToDate"}
    assert audited(app) == ["a1", "b2"]
    lines = [line for run in runs for line in run.progress if line.startswith(waiting)]
    assert all("address 127.0.0.1, pid " in line for line in lines)


ONCE = ["import os", "if not os.path.exists('tried'):", "    open('tried', 'w').close()"]
SLOW = "    op.execute('SELECT pg_sleep(30)')"
IS_SLOW = "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'"


def test_no_revision_starts_when_the_lock_is_lost(app: Application) -> None:
    wait = ["import os, time", "while not os.path.exists('lost'): time.sleep(0.02)"]
    app.revision("a1", None, AUDIT, note("a1"), *wait)
    app.revision("b2", "a1", note("b2"))
    running = app.start()
    running.waits_for("running the revision a1")
    for pid in lock_holders(app):
        app.sql(f"SELECT pg_terminate_backend({pid})")
    (app.directory / "lost").touch()
    run = running.finish()
    assert (run.reason, run.report["tries"]) == ("UpToDate", 2)
    assert any("held the lock is lost" in line for line in run.progress)
    assert audited(app) == ["a1", "b2"]


def test_a_lost_connection_starts_the_run_again_from_connecting(app: Application) -> None:
    app.revision("a1", None, AUDIT)
    app.revision("b2", "a1", note("b2"), *ONCE, SLOW)
    running = app.start()
    until(lambda: app.sql(IS_SLOW), what="b2 runs")
    app.sql(IS_SLOW.replace("SELECT FROM", "SELECT pg_terminate_backend(pid) FROM"))
    run = running.finish()
    assert (run.reason, run.report["tries"], run.report["applied"]) == ("UpToDate", 2, ["a1", "b2"])
    assert any(line.startswith("trying again in ") for line in run.progress)
    assert audited(app) == ["b2"]


@pytest.fixture
def table_lock(app: Application) -> sa.Connection:
    """A transaction that holds a lock on the table `things`, until it is closed."""
    app.sql("CREATE TABLE things (id integer)")
    engine = sa.create_engine(app.url.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    connection = engine.connect()
    connection.execute(sa.text("LOCK TABLE things IN ACCESS SHARE MODE"))
    return connection


def test_a_lock_is_waited_for_in_short_tries(app: Application, table_lock: sa.Connection) -> None:
    app.revision("a1", None, "op.execute('ALTER TABLE things ADD COLUMN x integer')")
    running = app.start()
    running.waits_for("lock timeout")
    table_lock.close()
    run = running.finish()
    assert run.reason == "UpToDate"
    assert run.report["tries"] > 1
    assert any("lock timeout" in line for line in run.progress)


def test_building_an_index_concurrently_waits_longer_than_the_lock_timeout(
    app: Application, table_lock: sa.Connection
) -> None:
    table_lock.execute(sa.text("LOCK TABLE things IN ROW EXCLUSIVE MODE"))
    app.revision(
        "a1",
        None,
        "with op.get_context().autocommit_block():",
        "    op.execute('CREATE INDEX CONCURRENTLY things_id ON things (id)')",
        "    assert op.get_bind().exec_driver_sql('SHOW lock_timeout').scalar() == '300ms'",
    )
    running = app.start()
    long = "query ~ '^CREATE INDEX' AND now() - query_start > interval '1 second'"
    until(lambda: app.sql(f"SELECT FROM pg_stat_activity WHERE {long}"), what="the statement has waited")
    table_lock.close()
    run = running.finish()
    assert (run.reason, run.report["tries"]) == ("UpToDate", 1)


def invalid(app: Application, name: str) -> None:
    """What an interrupted CREATE INDEX CONCURRENTLY leaves behind."""
    app.sql("CREATE TABLE things (id integer)")
    app.sql("INSERT INTO things VALUES (1), (1)")
    with pytest.raises(sa.exc.IntegrityError):
        app.sql(f'CREATE UNIQUE INDEX CONCURRENTLY "{name}" ON things (id)')
    app.sql("DELETE FROM things")


def build(app: Application) -> None:
    statement = "CREATE INDEX CONCURRENTLY IF NOT EXISTS things_id ON things (id)"
    app.revision("a1", None, "with op.get_context().autocommit_block():", f"    op.execute('{statement}')")


def is_valid(app: Application) -> object:
    return app.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id'::regclass")[0][0]


def test_an_index_left_invalid_is_told_though_the_run_succeeds(app: Application) -> None:
    invalid(app, "things_id")
    build(app)
    run = app.run()
    assert (run.reason, run.report["invalidIndexes"]) == ("UpToDate", ["public.things_id"])
    assert "Left INVALID: public.things_id" in run.report["message"]
    assert is_valid(app) is False


def test_an_index_left_invalid_is_dropped_and_built_again_where_that_is_asked(app: Application) -> None:
    invalid(app, "things_id")
    build(app)
    run = app.run(invalidIndexes="Drop")
    assert (run.reason, run.report["invalidIndexesDropped"]) == ("UpToDate", True)
    assert run.report["invalidIndexes"] == ["public.things_id"]
    assert is_valid(app) is True


def test_an_index_that_a_failing_run_leaves_invalid_is_dropped_after_it(app: Application) -> None:
    app.sql("CREATE TABLE things (id integer)")
    app.sql("INSERT INTO things VALUES (1), (1)")
    statement = 'CREATE UNIQUE INDEX CONCURRENTLY "odd %: name" ON things (id)'
    app.revision(
        "a1",
        None,
        "with op.get_context().autocommit_block():",
        f"    op.get_bind().exec_driver_sql({statement!r}.replace('%', '%%'))",
    )
    run = app.run(invalidIndexes="Drop")
    assert (run.reason, run.report["sqlstate"]) == ("DataRefused", "23505")
    assert app.sql("SELECT FROM pg_class WHERE relname ~ 'odd'") == []


def test_an_index_that_somebody_builds_is_left_alone(app: Application) -> None:
    app.sql("CREATE TABLE things (id integer)")
    app.revision("a1", None)
    engine = sa.create_engine(app.url.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    with engine.connect() as blocker, ThreadPoolExecutor(1) as thread:
        blocker.execute(sa.text("LOCK TABLE things IN ROW EXCLUSIVE MODE"))
        building = thread.submit(app.sql, "CREATE INDEX CONCURRENTLY things_id ON things (id)")
        until(lambda: app.sql("SELECT FROM pg_index WHERE NOT indisvalid"), what="the index is being built")
        run = app.run(invalidIndexes="Drop")
        blocker.close()
        building.result()
    assert (run.reason, run.report.get("invalidIndexes")) == ("UpToDate", None)
    assert is_valid(app) is True


def test_what_the_runner_may_not_end_is_waited_for(app: Application, postgres: sa.URL) -> None:
    role = f"other_{app.url.database}"
    query(postgres, f"CREATE ROLE {role} LOGIN PASSWORD 'seeded'")
    query(postgres, f"ALTER DATABASE {app.url.database} OWNER TO {role}")
    key = lock_key(str(app.url.database), "public", "alembic_version")
    name = working_name(key, {"namespace": "shop", "name": "api"})
    stray = sa.create_engine(
        app.url.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool, connect_args={"application_name": name}
    )
    app.revision("a1", None, AUDIT, note("a1"))
    url = app.url.set(username=role, password="seeded").render_as_string(hide_password=False)
    with stray.connect():
        running = app.start(url=url)
        running.waits_for("waiting for the end of what an earlier run left running")
        assert app.sql("SELECT to_regclass('audit')") == [(None,)]
    assert running.finish().reason == "UpToDate"
    app.sql(f"DROP OWNED BY {role} CASCADE")
    query(postgres, f"ALTER DATABASE {app.url.database} OWNER TO {app.url.username}")
    query(postgres, f"DROP ROLE {role}")
