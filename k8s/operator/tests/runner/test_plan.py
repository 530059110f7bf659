"""A plan is what an apply would run, and making it writes nothing."""

from __future__ import annotations

import hashlib

import pytest
from runner.application import ENV, Application, Finished

from landfall_operator.plans import frame


def sql_of(run: Finished) -> str:
    assert run.report["outcome"] == "Planned", run.text
    return frame(run.output, "PLAN", sha256=run.report["plan"]["sha256"])


def test_a_plan_writes_nothing_and_binds_the_apply(app: Application) -> None:
    app.revision("a1", None, "op.execute('CREATE TABLE things (id integer)')")
    planned = app.run(phase="plan")
    sql = sql_of(planned)
    assert "CREATE TABLE things" in sql
    assert app.sql("SELECT FROM pg_tables WHERE schemaname = 'public'") == []
    digest = hashlib.sha256(sql.encode()).hexdigest()
    app.revision("a1", None, "op.execute('CREATE TABLE thinks (id integer)')")
    assert app.run(planSha256=digest).reason == "PlanChanged"
    app.revision("a1", None, "op.execute('CREATE TABLE things (id integer)')")
    assert app.run(planSha256=digest).reason == "UpToDate"
    assert app.run(phase="plan").reason == "NothingToDo"


def test_a_plan_from_a_baseline_shows_the_stamp(app: Application) -> None:
    app.revision("a1", None)
    app.revision("b2", "a1", "op.execute('CREATE TABLE others (id integer)')")
    sql = sql_of(app.run(phase="plan", baseline="a1"))
    assert "INSERT INTO alembic_version (version_num) VALUES ('a1')" in sql
    assert "CREATE TABLE others" in sql
    digest = hashlib.sha256(sql.encode()).hexdigest()
    assert app.run(planSha256=digest, baseline="a1").report["current"] == ["b2"]


def test_a_database_with_several_revisions_can_be_planned(app: Application) -> None:
    app.revision("a1", None)
    app.revision("b1", None)
    app.run(target="heads")
    app.revision("a2", "a1", "op.execute('CREATE TABLE others (id integer)')")
    sql = sql_of(app.run(phase="plan", target="heads"))
    assert "CREATE TABLE others" in sql
    assert "UPDATE alembic_version SET version_num='a2' WHERE alembic_version.version_num = 'a1'" in sql
    assert "CREATE TABLE alembic_version" not in sql


@pytest.mark.parametrize(
    "line",
    ["op.get_bind().exec_driver_sql('SELECT 1').fetchall()", "raise NotImplementedError('needs rows')"],
)
def test_a_revision_that_needs_a_connection_is_not_plannable(app: Application, line: str) -> None:
    app.revision("a1", None, line)
    run = app.run(phase="plan")
    assert (run.code, run.report["outcome"], run.reason) == (0, "Planned", "NotPlannable")


def test_an_env_that_writes_is_not_plannable_and_has_written_nothing(app: Application) -> None:
    line = "        connection.exec_driver_sql('CREATE TABLE early (id integer)')\n        connection.commit()\n"
    app.env(ENV.replace("        context.configure(connection", line + "        context.configure(connection"))
    app.revision("a1", None)
    run = app.run(phase="plan")
    assert (run.reason, run.report["outcome"]) == ("NotPlannable", "Planned")
    assert "CREATE TABLE" in run.report["message"]
    assert app.sql("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


CHECKS = [
    ("ALTER TABLE things ALTER COLUMN a SET NOT NULL", "things.a has 1 NULLs, so NOT NULL will be refused."),
    ('ALTER TABLE "things"\n  ALTER a SET NOT NULL', '"things".a has 1 NULLs, so NOT NULL will be refused.'),
    (
        "alter table things add constraint u unique (b)",
        "things has 1 values of (b) more than once, so UNIQUE will be refused.",
    ),
    (
        "CREATE UNIQUE INDEX u ON public.things (b)",
        "public.things has 1 values of (b) more than once, so UNIQUE will be refused.",
    ),
    ("CREATE UNIQUE INDEX CONCURRENTLY u ON things USING btree (b, c)", "things has 1 values of (b, c) more than once"),
    ("ALTER TABLE things ADD PRIMARY KEY (b)", "things has 1 values of (b) more than once"),
    (
        "ALTER TABLE things ALTER COLUMN b TYPE bigint",
        "things has about 3 rows, which a change of type rewrites under a lock.",
    ),
    ("CREATE INDEX i ON things (b)", "things has about 3 rows, and no writes while the index is built."),
    (
        "ALTER TABLE things ADD CONSTRAINT c CHECK (b > 0)",
        "things has about 3 rows, all of which are checked under a lock.",
    ),
]


PASSING = [
    "CREATE INDEX CONCURRENTLY i ON others (b)",
    "ALTER TABLE others ADD CONSTRAINT c CHECK (b > 0) NOT VALID",
    "CREATE UNIQUE INDEX CONCURRENTLY u ON others (b) WHERE b > 1",
    "CREATE UNIQUE INDEX CONCURRENTLY u ON others (a)",
    "ALTER TABLE absent ALTER COLUMN a SET NOT NULL",
]


def test_a_look_at_the_rows_tells_what_will_be_refused_or_slow(app: Application) -> None:
    app.sql("CREATE TABLE things (a integer, b integer, c integer)")
    app.sql("INSERT INTO things VALUES (NULL, 1, 1), (1, 1, 1), (2, 2, NULL)")
    app.sql("CREATE TABLE others (a integer, b integer)")
    app.sql("INSERT INTO others VALUES (NULL, 1), (NULL, 1)")
    app.revision("a1", None, *(f"op.execute({statement!r})" for statement in [*(s for s, _ in CHECKS), *PASSING]))
    notes = app.run(phase="plan").report["checks"]
    assert [sentence for _, sentence in CHECKS if not any(note.startswith(sentence) for note in notes)] == []
    assert [note for note in notes if "others" in note or "absent" in note] == []
