"""What the runner says of each state and each refusal, and that it changes nothing where it refuses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest
from runner.application import RUNNER, Application

THINGS = "op.execute('CREATE TABLE things (id integer)')"
OTHER = {"namespace": "depot", "name": "other", "uid": "0002"}


@pytest.fixture
def shop(app: Application) -> Application:
    """Two revisions: a1 makes the table things, b2 a table others."""
    app.revision("a1", None, THINGS)
    app.revision("b2", "a1", "op.execute('CREATE TABLE others (id integer)')")
    return app


def tables(app: Application) -> set[object]:
    return {row[0] for row in app.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_an_empty_database_is_brought_to_head_and_claimed(shop: Application) -> None:
    run = shop.run()
    assert (run.code, run.report["state"], run.report["current"]) == (0, "UpToDate", ["b2"])
    assert run.report["applied"] == ["a1", "b2"]
    assert [line for line in run.progress if line.startswith("running")] == [
        "running the revision a1 (1 of 2)",
        "running the revision b2 (2 of 2)",
    ]
    assert "shop" in str(shop.sql("SELECT obj_description('alembic_version'::regclass)")[0][0])


def test_what_another_migration_owns_is_refused_until_it_is_taken_over(shop: Application) -> None:
    shop.run(target="a1")
    run = shop.run(owner=OTHER)
    assert (run.reason, run.report["outcome"]) == ("Conflict", "Refused")
    assert "shop/api" in run.report["message"]
    assert "others" not in tables(shop)
    assert shop.run(owner=OTHER, takeOverFrom="0009").reason == "Conflict"
    assert shop.run(owner=OTHER, takeOverFrom="0001").reason == "UpToDate"
    assert shop.run().reason == "Conflict"
    assert shop.run(takeOver=True).reason == "UpToDate"


def test_a_run_that_fails_midway_leaves_its_claim_and_tells_how_far_it_came(shop: Application) -> None:
    shop.revision("b2", "a1", "op.execute('SELECT 1 / 0')")
    run = shop.run()
    assert (run.reason, run.report["sqlstate"], run.report["revision"]) == ("StatementFailed", "22012", "b2")
    assert run.report["statement"] == "SELECT 1 / 0"
    assert (run.report["state"], run.report["current"], run.report["applied"]) == ("Behind", ["a1"], ["a1"])
    assert run.report["from"] == []
    assert [step["revision"] for step in run.report["pending"]] == ["b2"]
    assert run.report["tries"] == 1
    assert shop.run(owner=OTHER).reason == "Conflict"


def test_a_schema_that_no_revision_accounts_for_asks_for_a_baseline(shop: Application) -> None:
    shop.sql("CREATE TABLE things (id integer)")
    run = shop.run()
    assert (run.reason, run.report["state"], run.report["sqlstate"]) == ("Unversioned", "Unversioned", "42P07")
    assert "spec.baseline" in run.report["message"]
    assert shop.run(baseline="a1").report["applied"] == ["b2"]


def test_revisions_that_make_the_same_twice_are_not_taken_for_an_unversioned_schema(shop: Application) -> None:
    shop.revision("b2", "a1", THINGS)
    run = shop.run()
    assert (run.reason, run.report["sqlstate"]) == ("ObjectExists", "42P07")


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"baseline": "z9"}, "BaselineUnknown", "spec.baseline"),
        ({"target": "z9"}, "TargetUnknown", "spec.target"),
        ({"alembic": {"config": "none.ini", "section": "alembic"}}, "ConfigMissing", "alembic.ini"),
        ({"alembic": {"config": "alembic.ini", "section": "none"}}, "ConfigMissing", "[none]"),
        (
            {"alembic": {"config": "none.ini", "section": "alembic", "scriptLocation": "nowhere"}},
            "RevisionsUnusable",
            "nowhere",
        ),
    ],
)
def test_a_spec_that_the_image_cannot_serve_is_told(
    shop: Application, changes: dict[str, Any], reason: str, words: str
) -> None:
    run = shop.run(**changes)
    assert (run.code, run.reason, run.report["transient"]) == (1, reason, False)
    assert words in run.report["message"]
    assert tables(shop) == set()


def test_a_revision_that_the_image_lacks_is_told(shop: Application) -> None:
    shop.run()
    (shop.directory / "versions/b2.py").unlink()
    run = shop.run()
    assert (run.reason, run.report["state"]) == ("RevisionUnknown", "RevisionUnknown")
    assert (run.report["current"], run.report["heads"], run.report["target"]) == (["b2"], ["a1"], ["a1"])


def test_several_heads_are_refused_for_the_target_head_and_taken_for_heads(shop: Application) -> None:
    shop.revision("c3", "a1")
    run = shop.run()
    assert (run.reason, run.report["state"]) == ("MultipleHeads", "MultipleHeads")
    run = shop.run(target="heads")
    assert (run.report["current"], run.report["message"]) == (["b2", "c3"], "The database is at b2, c3.")


def test_a_target_behind_the_database_is_told_and_changes_nothing(shop: Application) -> None:
    shop.run()
    run = shop.run(target="a1")
    assert (run.code, run.report["state"], run.report["current"]) == (0, "Ahead", ["b2"])
    assert "beyond the target a1" in run.report["message"]
    assert tables(shop) >= {"things", "others"}


def address(app: Application, **changes: Any) -> str:
    return app.url.set(**changes).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("changes", "reason", "transient"),
    [
        ({"password": "wrong"}, "WrongPassword", False),
        ({"username": "nobody_here"}, "WrongPassword", False),
        ({"database": "none_such"}, "DatabaseMissing", False),
        ({"host": "no-such-host.invalid"}, "HostUnknown", True),
        ({"port": 1}, "DatabaseAway", True),
        ({"query": {"sslmode": "require"}}, "TlsMismatch", False),
        ({"query": {"sslmode": "odd"}}, "UrlInvalid", False),
        ({"drivername": "mysql"}, "UrlInvalid", False),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_with_the_remedy(
    shop: Application, changes: dict[str, Any], reason: str, *, transient: bool
) -> None:
    run = shop.run(url=address(shop, **changes), connectWaitSeconds=0.5)
    assert (run.reason, run.report["transient"]) == (reason, transient)
    assert "wrong" not in run.text.replace("WrongPassword", "")


def test_a_database_that_is_waited_for_is_in_the_progress(shop: Application) -> None:
    run = shop.run(url=address(shop, port=1), connectWaitSeconds=1)
    assert any(line.startswith("waiting for the database: ") and "refused" in line for line in run.progress)


@pytest.mark.parametrize(
    ("url", "reason"), [("", "UrlMissing"), ("nonsense", "UrlInvalid"), ("postgresql://u:p@host:port/d", "UrlInvalid")]
)
def test_a_url_that_cannot_be_used_is_told(shop: Application, url: str, reason: str) -> None:
    assert shop.run(url=url).reason == reason


def test_a_password_with_special_characters_reaches_the_application(shop: Application) -> None:
    role = f"role_{shop.url.database}"
    shop.sql(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '%@:/p'")
    try:
        url = f"postgresql://{role}:{quote('%@:/p', safe='')}@{shop.url.host}:{shop.url.port}/{shop.url.database}"
        assert shop.run(url=url).reason == "UpToDate"
    finally:
        shop.sql(f"REASSIGN OWNED BY {role} TO {shop.url.username}; DROP ROLE {role}")


def test_rights_that_are_missing_are_told(shop: Application) -> None:
    role = f"role_{shop.url.database}"
    shop.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'seeded'")
    try:
        run = shop.run(url=address(shop, username=role, password="seeded"))
        assert (run.reason, run.report["sqlstate"]) == ("PermissionDenied", "42501")
    finally:
        shop.sql(f"DROP ROLE {role}")


def test_a_database_that_only_reads_is_told(shop: Application) -> None:
    shop.sql(f"ALTER DATABASE {shop.url.database} SET default_transaction_read_only = on")
    run = shop.run()
    assert (run.reason, run.report["transient"]) == ("ReadOnlyServer", False)


def test_an_interpreter_without_alembic_is_told(shop: Application) -> None:
    bare = subprocess.run(
        [sys.executable, "-S", "-I", str(RUNNER)],
        cwd=shop.directory,
        env={
            "DATABASE_URL": shop.dsn,
            "LANDFALL_RUN": '{"phase": "plan", "env": "DATABASE_URL", "deadlineSeconds": 9}',
            "LANDFALL_TERMINATION_LOG": str(shop.directory / "message"),
        },
        capture_output=True,
        check=False,
    )
    assert bare.returncode == 1
    assert "AlembicMissing" in (shop.directory / "message").read_text()


def test_the_version_table_is_claimed_where_the_search_path_puts_it(shop: Application) -> None:
    env = (shop.directory / "env.py").read_text()
    line = "        connection.exec_driver_sql('SET search_path TO tenant')\n        connection.commit()\n"
    shop.env(env.replace("        context.configure(connection", line + "        context.configure(connection"))
    shop.sql("CREATE SCHEMA tenant")
    assert shop.run().reason == "UpToDate"
    assert "shop" in str(shop.sql("SELECT obj_description('tenant.alembic_version'::regclass)")[0][0])
    assert shop.run(owner=OTHER).reason == "Conflict"
