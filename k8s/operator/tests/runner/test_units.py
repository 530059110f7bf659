"""The runner's parts that need no process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from landfall_runner.database import own_url
from landfall_runner.errors import explain
from landfall_runner.message import MAX_BYTES, encode
from landfall_runner.redaction import Redactor
from landfall_runner.report import Stop
from runner.application import RUNNER

FILES = sorted(RUNNER.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_runner_parses_as_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_the_runner_uses_nothing_newer_than_python_3_8() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    options = ["--target=3.8-", "--no-tips", "--violations"]
    done = subprocess.run([vermin, *options, *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_runner_imports_nothing_but_the_library_and_what_the_application_has() -> None:
    allowed = {*sys.stdlib_module_names, "alembic", "sqlalchemy", "landfall_runner"}
    trees = [ast.parse(path.read_text()) for path in FILES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    assert {name.partition(".")[0] for name in names} <= allowed


def plain(text: str) -> str:
    return text


@pytest.mark.parametrize("size", [0, 10, 300, 5000])
@pytest.mark.parametrize("character", ["x", "ö", '"', "\n", "\ud800", "\U0001f600"])
def test_a_message_is_always_json_that_fits(size: int, character: str) -> None:
    text = character * size
    fields: dict[str, Any] = {
        "outcome": "Failed",
        "reason": "StatementFailed",
        "message": text,
        "statement": text,
        "revision": "a1",
        "current": ["a1"] * 30,
        "pending": [{"revision": text, "message": text}] * 30,
        "checks": [text] * 30,
        "plan": {"bytes": 5, "sha256": "f" * 64},
    }
    data = encode(fields, [text] * 20, plain)
    assert len(data) <= MAX_BYTES
    report = json.loads(data)
    assert (report["outcome"], report["reason"], report["plan"]) == ("Failed", "StatementFailed", fields["plan"])


def test_the_log_is_cut_from_the_front_and_only_failures_have_one() -> None:
    lines = [f"line {number} {'x' * 300}" for number in range(20)]
    log = json.loads(encode({"outcome": "Failed"}, lines, plain))["log"]
    assert log.endswith(lines[-1])
    assert lines[0] not in log
    assert "log" not in json.loads(encode({"outcome": "Succeeded"}, lines, plain))


def test_one_line_that_is_too_long_keeps_its_end() -> None:
    log = json.loads(encode({"outcome": "Failed"}, ["x" * 9000 + " the end"], plain))["log"]
    assert log.endswith("the end")


def test_what_is_decided_upon_is_not_redacted() -> None:
    fields = {"outcome": "Failed", "current": ["head"], "message": "head is gone"}
    report = json.loads(encode(fields, [], Redactor("postgresql://u:head@h/d")))
    assert (report["current"], report["message"]) == (["head"], "*** is gone")


@pytest.mark.parametrize(
    ("url", "leak"),
    [
        ("postgresql://u:s%40crt@h/d", "s@crt"),
        ("postgresql://u:s%40crt@h/d", "s%40crt"),
        ("postgresql://u:s@crt@h/d", "s@crt"),
        ("postgresql+asyncpg://u:s3crt@h:1/d?x=y@z", "s3crt"),
        ("postgresql:///d?host=h&user=u&password=s3crt", "s3crt"),
        ("", "postgres://u:s3crt@h/d"),
        ("", "{'password': 's3crt'}"),
        ("", "PGPASSWORD=s3crt"),
    ],
)
def test_passwords_are_taken_out(url: str, leak: str) -> None:
    redacted = Redactor(url)(f"could not connect: {leak}, sorry")
    assert "crt" not in redacted
    assert redacted.startswith("could not connect")


@pytest.mark.parametrize(
    ("words", "reason", "transient"),
    [
        ('FATAL:  password authentication failed for user "app"', "WrongPassword", False),
        ("fe_sendauth: no password supplied", "WrongPassword", False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "LoginRefused", False),
        ('FATAL:  role "app" is not permitted to log in', "LoginRefused", False),
        ('FATAL:  database "app" does not exist', "DatabaseMissing", False),
        ("FATAL:  sorry, too many clients already", "TooManyConnections", True),
        ("server does not support SSL, but SSL was required", "TlsMismatch", False),
        ("SSL error: certificate verify failed", "TlsMismatch", False),
        ('could not translate host name "pg" to address: Name or service not known', "HostUnknown", True),
        ("connection to server at 127.0.0.1 failed: Connection refused", "DatabaseAway", True),
        ("FATAL:  the database system is starting up", "DatabaseAway", True),
        ("server closed the connection unexpectedly", "DatabaseAway", True),
        ('could not extend file "base/1": No space left on device', "DiskFull", False),
        ('invalid connection option "odd"', "UrlInvalid", False),
    ],
)
def test_a_refused_connection_is_known_by_the_servers_words(words: str, reason: str, *, transient: bool) -> None:
    stop = told(type("OperationalError", (Exception,), {})(words))
    assert (stop.reason, stop.transient) == (reason, transient)
    assert words in str(stop)


@pytest.mark.parametrize(
    ("state", "reason", "transient"),
    [
        ("55P03", "LockTimeout", True),
        ("40P01", "Deadlock", True),
        ("40001", "SerializationFailure", True),
        ("57P01", "DatabaseAway", True),
        ("08006", "DatabaseAway", True),
        ("53300", "TooManyConnections", True),
        ("53100", "DiskFull", False),
        ("53200", "ServerOutOfMemory", False),
        ("42501", "PermissionDenied", False),
        ("25006", "ReadOnlyServer", False),
        ("23505", "DataRefused", False),
        ("57014", "StatementCanceled", False),
        ("42P07", "ObjectExists", False),
        ("42601", "StatementFailed", False),
    ],
)
@pytest.mark.parametrize("attribute", ["pgcode", "sqlstate"])
def test_an_error_is_known_by_its_sqlstate_in_each_driver(
    state: str, reason: str, attribute: str, *, transient: bool
) -> None:
    origin = type("DriverError", (Exception,), {attribute: state})("it broke\nDETAIL: of no use")
    stop = told(origin)
    assert (stop.reason, stop.transient, stop.again) == (reason, transient, transient)
    assert str(stop).startswith("it broke.")
    assert "of no use" not in str(stop)


def test_an_error_that_the_application_wraps_is_found() -> None:
    wrapped = ValueError("the application's words")
    wrapped.__cause__ = type("DriverError", (Exception,), {"sqlstate": "40P01"})("deadlock detected")
    assert told(wrapped).reason == "Deadlock"
    assert explain(ValueError("no database's error")) is None


def told(error: Exception) -> Stop:
    stop = explain(sa.exc.DBAPIError("SELECT 1", None, error) if not isinstance(error, ValueError) else error)
    assert stop is not None
    return stop


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+psycopg2://u:p@h/d?sslmode=require"),
        ("postgresql+asyncpg://u:p@h/d?ssl=require", "postgresql+psycopg2://u:p@h/d?sslmode=require"),
        ("postgresql+asyncpg://u:p@h/d?ssl=true&command_timeout=5", "postgresql+psycopg2://u:p@h/d?sslmode=require"),
        ("postgresql+psycopg_async://u:p%25%40@h/d", "postgresql+psycopg2://u:p%25%40@h/d"),
    ],
)
def test_the_runners_own_url_is_for_a_synchronous_driver(given: str, rendered: str) -> None:
    assert own_url(given).render_as_string(hide_password=False) == rendered
