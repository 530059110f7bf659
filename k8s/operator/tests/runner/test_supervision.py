"""Whatever becomes of the work, the report says so, and no credential is in it."""

from __future__ import annotations

import json
import signal
import time
from urllib.parse import quote

import pytest
from runner.application import Application
from runner.postgres import query

from landfall_operator.plans import frame


@pytest.mark.parametrize(
    ("deed", "reason", "words"),
    [
        ("os._exit(3)", "EnvExited", "code 3"),
        ("raise SystemExit(4)", "EnvExited", "code 4"),
        ("os.kill(os.getpid(), 11)", "RunnerCrashed", "SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "OutOfMemory", "memory limit"),
        ("raise ValueError('odd')", "RunFailed", "ValueError: odd"),
        ("import there_is_no_such_module", "ModuleMissing", "there_is_no_such_module"),
    ],
)
def test_a_sudden_end_is_told_with_the_last_lines(app: Application, deed: str, reason: str, words: str) -> None:
    app.revision("a1", None, "import os", "print('the last words')", deed)
    run = app.run()
    assert (run.code, run.reason) == (1, reason)
    assert words in run.report["message"]
    assert "the last words" in run.report["log"]
    assert run.report["revision"] == "a1"
    assert run.report["transient"] is False


def test_sigterm_in_the_middle_of_a_statement_ends_the_run_and_says_so(app: Application) -> None:
    app.revision("a1", None, "op.execute('SELECT pg_sleep(60)')")
    running = app.start()
    running.waits_for("running the revision a1")
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    run = running.finish()
    assert time.monotonic() - began < 3
    assert (run.code, run.report["outcome"], run.report["transient"]) == (1, "Interrupted", True)
    assert "during the revision a1" in run.report["message"]


def test_a_deadline_ends_the_run_with_a_report(app: Application) -> None:
    app.revision("a1", None, "op.execute('SELECT pg_sleep(60)')")
    run = app.run(deadlineSeconds=1)
    assert (run.reason, run.report["transient"]) == ("DeadlineExceeded", False)
    assert "spec.policy.deadline" in run.report["message"]


def test_the_report_is_json_of_4096_bytes_at_most_and_keeps_the_newest_lines(app: Application) -> None:
    app.revision(
        "a1", None, "for n in range(5000): print(f'line {n} «' + 'ö\"' * 300)", "op.execute('SELECT ' + 'x' * 9000)"
    )
    run = app.run()
    assert len(run.message) <= 4096
    assert json.loads(run.message)["sqlstate"] == "42703"
    assert run.report["log"]


def test_no_spelling_of_the_password_leaves_the_process(app: Application) -> None:
    password = "p%4@:/w ä'"
    role = f"role_{app.url.database}"
    query(app.url, f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{password.replace(chr(39), chr(39) * 2)}'")
    url = f"postgresql://{role}:{quote(password, safe='')}@{app.url.host}:{app.url.port}/{app.url.database}"
    app.revision(
        "a1",
        None,
        "import logging, os, subprocess, urllib.parse",
        "url = os.environ['DATABASE_URL']",
        "secret = urllib.parse.unquote(url.split(':')[2].split('@')[0])",
        "print(url, secret, repr(secret))",
        "os.write(2, secret.encode() + b'\\n')",
        "subprocess.run(['printenv', 'DATABASE_URL'], check=True)",
        "logging.error('connecting with password=%s', secret)",
        "raise RuntimeError(url + ' ' + secret)",
    )
    try:
        run = app.run(url=url)
    finally:
        query(app.url, f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert run.reason == "RunFailed"
    for spelling in (password, quote(password, safe=""), quote(password), repr(password)[1:-1]):
        assert spelling not in run.text
        assert spelling not in json.dumps(run.report, ensure_ascii=False)
    assert "***" in run.report["message"]


def test_a_plan_passes_through_unchanged_whatever_it_holds(app: Application) -> None:
    text = f"-- {app.url.password} ä \\u0000 ----- {'x' * 300000}"
    app.revision("a1", None, f"op.execute({'SELECT 1 ' + text!r})")
    run = app.run(phase="plan")
    assert run.report["outcome"] == "Planned"
    sql = frame(run.output, "PLAN", sha256=run.report["plan"]["sha256"])
    assert text in sql


def test_a_process_that_the_application_leaves_behind_does_not_hold_up_the_end(app: Application) -> None:
    app.revision("a1", None, "import subprocess", "subprocess.Popen(['sleep', '30'])")
    began = time.monotonic()
    assert app.run().reason == "UpToDate"
    assert time.monotonic() - began < 10


def test_the_applications_own_modules_may_have_the_runners_names(app: Application) -> None:
    for name in ("database", "report", "errors", "checks", "run"):
        (app.directory / f"{name}.py").write_text("HERE = 'the application'\n")
    names = "database, report, errors, checks, run"
    app.revision("a1", None, f"import {names}", f"assert {{m.HERE for m in ({names})}} == {{'the application'}}")
    assert app.run().reason == "UpToDate"
