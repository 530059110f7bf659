"""Findings by severity: what destroys data is found however it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landfall_operator.lint import SQUAWK, SQUAWK_TRIES, LintError, count_statements, lint

DESTRUCTIVE = [
    "DROP TABLE things",
    "drop table things",
    "DROP\n  TABLE\n  things",
    "DROP/* a */TABLE things",
    "-- a comment\n/* another; DROP */ DROP TABLE things",
    "/* one /* within */ another */ DROP TABLE things",
    "-- squawk-ignore ban-drop-table\nDROP TABLE things",
    'DROP TABLE "Things; really"',
    "SELECT 1; SELECT 'it''s'; DROP TABLE things",
    "SELECT E'\\'; ' ; DROP TABLE things",
    "SELECT $$;$$; DROP TABLE things",
    "this is no SQL; DROP TABLE things",
    "DO $$ BEGIN DROP TABLE things; END $$",
    "DO $body$ BEGIN EXECUTE 'DROP TABLE ' || name; END $body$",
    "DO 'BEGIN DELETE FROM things; END'",
    "WITH gone AS (DELETE FROM things RETURNING id) SELECT count(*) FROM gone",
    "INSERT INTO archive WITH gone AS (DELETE FROM things RETURNING *) SELECT * FROM gone",
    "MERGE INTO things t USING others o ON t.id = o.id WHEN MATCHED THEN DELETE",
    "delete from only things",
    "TRUNCATE things",
    "truncate only things, others",
    "ALTER TABLE things DROP COLUMN old",
    "ALTER TABLE things DROP old",
    "ALTER TABLE things\n  DROP IF EXISTS old",
    'ALTER TABLE things ADD COLUMN a int, DROP "old"',
    "ALTER TABLE things DROP CONSTRAINT c, DROP old",
    "ALTER TYPE address DROP ATTRIBUTE street",
    "DROP SCHEMA shop CASCADE",
    "DROP DATABASE shop",
    "DROP TYPE mood",
    "DROP MATERIALIZED VIEW sums",
    "DROP SEQUENCE numbers",
    "DROP EXTENSION postgis CASCADE",
    "DROP OWNED BY app",
    "SELECT dblink_exec('DROP TABLE things')",
    "CREATE FUNCTION tidy() RETURNS void AS $$ DELETE FROM things $$ LANGUAGE sql; SELECT tidy()",
    "CREATE OR REPLACE PROCEDURE shop.tidy() AS $$ TRUNCATE things $$ LANGUAGE sql;\nCALL shop.tidy()",
    "UPDATE alembic_version SET version_num='b'; DROP TABLE alembic_version_copy",
    "INSERT INTO alembic_version WITH x AS (DELETE FROM things RETURNING 1) SELECT 'a'",
    "DELETE FROM alembic_version_things",
]
BLOCKING = [
    "CREATE INDEX i ON things (a)",
    "ALTER TABLE things ALTER COLUMN a TYPE bigint",
    "ALTER TABLE things ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE things ADD CONSTRAINT c CHECK (a > 0)",
    "ALTER TABLE things ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES others (id)",
    "ALTER TABLE things RENAME TO others",
    "ALTER TABLE things RENAME COLUMN a TO b",
    "ALTER TABLE things ALTER COLUMN a DROP NOT NULL",
    "DROP INDEX i",
    "DROP VIEW v",
    "-- squawk-ignore require-concurrent-index-creation\nCREATE INDEX i ON things (a)",
    "LOCK TABLE things",
    "VACUUM FULL things",
    "REINDEX TABLE things",
    "REFRESH MATERIALIZED VIEW sums",
    "BEGIN; CREATE INDEX CONCURRENTLY i ON things (a); COMMIT",
    "this is no SQL",
]
HARMLESS = [
    "CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)",
    "CREATE TABLE things (id bigint REFERENCES others ON DELETE CASCADE)",
    "COMMENT ON TABLE things IS 'DROP TABLE things'",
    'CREATE TABLE "drop table things" (id bigint)',
    "-- DROP TABLE things\nSELECT 1",
    "GRANT SELECT, DELETE, TRUNCATE, UPDATE ON things TO app",
    "CREATE TRIGGER t BEFORE DELETE OR TRUNCATE ON things EXECUTE FUNCTION f()",
    "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DELETE FROM things; RETURN NULL; END $$ LANGUAGE plpgsql",
    "CREATE POLICY p ON things FOR DELETE USING (true)",
    "ALTER TABLE things ALTER COLUMN a DROP DEFAULT",
    "ALTER TABLE things DROP CONSTRAINT c",
    "DROP INDEX CONCURRENTLY i",
    "CREATE INDEX CONCURRENTLY i ON things (a)",
    "REINDEX TABLE CONCURRENTLY things",
    "UPDATE things SET a = 1 WHERE a IS NULL",
    "CREATE TABLE alembic_version (\n    version_num VARCHAR(32) NOT NULL, \n    PRIMARY KEY (version_num)\n)",
    "INSERT INTO alembic_version (version_num) VALUES ('a1') RETURNING alembic_version.version_num",
    "UPDATE alembic_version SET version_num='b2' WHERE alembic_version.version_num = 'a1'",
    "DELETE FROM alembic_version WHERE alembic_version.version_num = 'a1'",
    "DROP TABLE alembic_version",
]


def worst(sql: str, **options: Any) -> str | None:
    return next((finding.severity for finding in lint(sql, **options)), None)


@pytest.mark.parametrize("statement", DESTRUCTIVE)
def test_what_destroys_data_is_destructive(statement: str) -> None:
    assert worst(statement + ";") == "Destructive"


@pytest.mark.parametrize("statement", BLOCKING)
def test_what_holds_others_up_is_blocking(statement: str) -> None:
    assert worst(statement + ";\n") == "Blocking"


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_does_neither_is_no_more_than_style(statement: str) -> None:
    assert worst(statement + ";\n") in {None, "Style"}


def test_the_bookkeeping_of_another_version_table_is_known_by_its_name() -> None:
    sql = "DELETE FROM meta.schema_history WHERE meta.schema_history.version_num = 'a1';\n"
    assert worst(sql, version_table="meta.schema_history") is None
    assert worst(sql) == "Destructive"


def test_findings_name_the_plans_lines() -> None:
    sql = "BEGIN;\n\n-- Running a1 -> b2\n\nALTER TABLE things\n    DROP COLUMN old;\n\nTRUNCATE others;\n\nCOMMIT;\n"
    found = [(finding.rule, finding.line) for finding in lint(sql) if finding.severity == "Destructive"]
    assert found == [("ban-drop-column", 6), ("truncate", 8)]


def test_what_squawk_cannot_read_hides_nothing_from_it() -> None:
    rules = [finding.rule for finding in lint("this is no SQL;\nCREATE INDEX i ON things (a);\n")]
    assert {"syntax-error", "require-concurrent-index-creation"} <= set(rules)


def test_without_squawk_a_plan_is_not_taken_for_a_good_one() -> None:
    with pytest.raises(LintError, match="could not be linted"):
        lint("SELECT 1;\n", squawk="/no/such/squawk")


def test_a_large_plan_is_linted_in_seconds() -> None:
    sql = "".join(f"INSERT INTO things (id, name) VALUES ({n}, 'it''s -- {n};');\n" for n in range(15000))
    assert worst(sql + "DROP TABLE things;\n") == "Destructive"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("", 0),
        ("BEGIN;\n\n-- Running upgrade  -> a1\n\nCREATE TABLE a (b int);\n\nCOMMIT;\n", 1),
        ("CREATE FUNCTION f() RETURNS int AS $$ BEGIN PERFORM 1; RETURN 2; END; $$ LANGUAGE plpgsql; SELECT f()", 2),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END; SELECT 1;", 2),
        ("SELECT ';'; SELECT \"a;b\"; -- ; ;\n/* ; */ SELECT 3;;", 3),
        ("INSERT INTO alembic_version (version_num) VALUES ('a1');\nINSERT INTO things VALUES (1);", 1),
        ("CREATE TABLE a (b int)", 1),
    ],
)
def test_statements_are_counted_as_postgresql_cuts_them(sql: str, count: int) -> None:
    assert count_statements(sql) == count


def killed(directory: Path, *, times: int) -> str:
    """A squawk that is killed so many times before it does its work."""
    program = directory / "squawk"
    program.write_text(
        f'#!/bin/sh\necho >> {directory}/runs\n[ "$(wc -l < {directory}/runs)" -gt {times} ] || kill -9 $$\n'
        f'exec {SQUAWK} "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


def test_a_squawk_that_is_killed_is_run_again(tmp_path: Path) -> None:
    findings = lint("DROP TABLE things;\n", squawk=killed(tmp_path, times=SQUAWK_TRIES - 1))
    assert [finding.severity for finding in findings] == ["Destructive"]


def test_a_squawk_that_is_always_killed_is_told_with_the_signal(tmp_path: Path) -> None:
    with pytest.raises(LintError, match="squawk was ended by signal 9, 3 times"):
        lint("SELECT 1;\n", squawk=killed(tmp_path, times=SQUAWK_TRIES))


def test_a_squawk_without_a_result_is_told(tmp_path: Path) -> None:
    program = tmp_path / "squawk"
    program.write_text("#!/bin/sh\ncat > /dev/null\nexit 101\n")
    program.chmod(0o755)
    with pytest.raises(LintError, match="squawk ended with 101 and without a result"):
        lint("SELECT 1;\n", squawk=str(program))
