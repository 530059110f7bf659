"""The commands, as processes: what they print, how they end, and that no mistake ends in a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from app.db.schema_state import SchemaInspector
from app.db.session import DatabaseSessionManager
from app.queries.users import find_by_email
from app.services.auth import Authenticator
from app.settings import Settings
from tests.cli.conftest import Run
from tests.support.cli import BACKEND, Done, run_command
from tests.support.secrets import DATABASE_PASSWORD, USER_PASSWORD

HEAD = SchemaInspector().head
ON_SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
NOWHERE = f"postgresql://landfall:{DATABASE_PASSWORD}@127.0.0.1:1/landfall"


def fails(done: Done, *, code: int, words: str) -> None:
    """It ended with this code and one line with these words."""
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.complaint.startswith("landfall: ")
    assert words in done.complaint


# --- migrate -------------------------------------------------------------------------------------------------------


def test_migrate_says_where_the_schema_stands(run: Run) -> None:
    done = run("migrate")
    assert (done.exit_code, done.stdout) == (0, f"schema at {HEAD}\n")


@ON_SQLITE
def test_migrate_stops_at_the_revision_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    done = run("migrate", "c35d9b1f7a84", DATABASE_SQLITE_PATH=str(tmp_path / "new.sqlite3"))
    assert done.exit_code == 0
    assert done.stdout.startswith(f"schema the database is at c35d9b1f7a84, this code needs {HEAD}")


@ON_SQLITE
@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("no-such", 1, "migration: Can't locate revision identified by 'no-such'"),
        ("", 2, "the target is empty; name a revision"),
    ],
)
def test_migrate_does_not_know_a_revision(run: Run, target: str, code: int, words: str) -> None:
    fails(run("migrate", target), code=code, words=words)


# --- what is away or wrong -----------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    "command", [["migrate"], ["serve"], ["users", "create", "a@example.com", "--password", USER_PASSWORD]]
)
def test_a_database_that_is_away_is_one_line_with_its_address(run: Run, command: list[str]) -> None:
    done = run(*command, DATABASE_URL=NOWHERE, LISTEN_PORT="0")
    fails(done, code=1, words="postgresql+psycopg2://landfall:***@127.0.0.1:1/landfall")


@ON_SQLITE
def test_a_command_without_tables_says_what_to_run_first(run: Run, tmp_path: Path) -> None:
    fails(run("seed", DATABASE_SQLITE_PATH=str(tmp_path / "new.sqlite3")), code=1, words="Run `landfall migrate` first")


@ON_SQLITE
def test_wrong_settings_are_one_line_and_wrong_usage(run: Run) -> None:
    fails(run("check", DATABASE_URL="postgres://a/b"), code=2, words="DATABASE_URL: the scheme postgres://")


@ON_SQLITE
def test_a_store_that_takes_nothing_is_named(run: Run) -> None:
    fails(run("seed", ARTIFACTS_DIRECTORY="/proc/nothing"), code=1, words="/proc/nothing: No such file or directory")


@ON_SQLITE
def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    done = run("no-such")
    assert (done.exit_code, "No such command" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


# --- check ---------------------------------------------------------------------------------------------------------


def lines(done: Done) -> dict[str, str]:
    """What stands behind each name."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines()}


def test_check_has_a_line_for_everything_that_is_needed(run: Run) -> None:
    done = run("check")
    assert lines(done) == {
        "settings": "ok test",
        "database": "ok answers",
        "storage": "ok answers",
        "schema": f"ok at {HEAD}",
    }
    assert (done.exit_code, done.stderr) == (0, "")


@ON_SQLITE
def test_check_fails_and_says_what_is_not_ready(run: Run) -> None:
    done = run("check", DATABASE_URL=NOWHERE, ARTIFACTS_DIRECTORY="/proc/nothing")
    found = lines(done)
    assert (done.exit_code, found["settings"]) == (1, "ok test")
    assert found["database"].startswith("not ready connection to server")
    assert found["storage"].startswith("not ready directory /proc/nothing")
    assert found["schema"].startswith("not ready connection to server")


@ON_SQLITE
def test_check_says_what_to_do_about_an_old_schema(run: Run, tmp_path: Path) -> None:
    done = run("check", DATABASE_SQLITE_PATH=str(tmp_path / "new.sqlite3"))
    assert done.exit_code == 1
    assert lines(done)["schema"].endswith("run `landfall migrate`")


# --- openapi -------------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_openapi_prints_the_document_and_nothing_else(run: Run) -> None:
    done = run("openapi", LOG_LEVEL="DEBUG")
    assert done.exit_code == 0
    validate(json.loads(done.stdout))


# --- users ---------------------------------------------------------------------------------------------------------


def test_a_user_is_created_with_the_password_that_is_typed_twice(run: Run, settings: Settings) -> None:
    done = run("users", "create", "Ada@Example.com", "--role", "editor", stdin=f"{USER_PASSWORD}\n{USER_PASSWORD}\n")
    assert (done.exit_code, "created ada@example.com (editor)" in done.stdout) == (0, True)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        login = {"email": "ada@example.com", "password": USER_PASSWORD}
        assert Authenticator(settings.auth).login(session, **login, client=None, request_id=None).text
        user = find_by_email(session, "ada@example.com")
    assert user is not None
    assert user.role == "editor"


@ON_SQLITE
def test_passwords_that_differ_are_asked_for_again(run: Run) -> None:
    done = run("users", "create", "a@example.com", stdin=f"{USER_PASSWORD}\nanother\n")
    assert done.exit_code == 1
    assert "do not match" in done.stdout + done.stderr


@ON_SQLITE
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a@example.com", "--password", "short"], "password: "),
        (["nobody", "--password", USER_PASSWORD], "email: "),
        (["a@example.com", "--password", USER_PASSWORD, "--role", "root"], "role: Input should be 'viewer'"),
    ],
)
def test_a_user_that_cannot_be_is_refused_by_the_fields_name(run: Run, arguments: list[str], words: str) -> None:
    fails(run("users", "create", *arguments), code=2, words=words)


@ON_SQLITE
def test_an_email_is_used_once(run: Run) -> None:
    assert run("users", "create", "a@example.com", "--password", USER_PASSWORD).exit_code == 0
    fails(run("users", "create", "A@example.com", "--password", USER_PASSWORD), code=1, words="already has this email")


# --- imports -------------------------------------------------------------------------------------------------------


def test_the_server_starts_without_what_its_settings_do_not_use(environment: dict[str, str], tmp_path: Path) -> None:
    """Each of these takes a tenth of a second or more to import."""
    code = "import sys, app.server; print(*sorted({'boto3', 'botocore', 'opentelemetry.sdk'} & sys.modules.keys()))"
    done = run_command([sys.executable, "-c", code], environment=environment, directory=tmp_path)
    assert done.stdout.split() == []


def test_the_seed_script_is_the_seed_command(environment: dict[str, str], tmp_path: Path) -> None:
    script = BACKEND / "scripts" / "seed_dev.py"
    done = run_command([sys.executable, str(script)], environment=environment, directory=tmp_path)
    assert (done.exit_code, done.stdout) == (0, "10 rows added\n")
