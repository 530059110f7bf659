from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    status: int
    output: str


def run_with_plugin(directory: Path, body: str, *options: str) -> Run:
    """A pytest run of one test with `body`, with the plugin on."""
    (directory / "conftest.py").write_text("from tests.support.leaks import pytest_configure\n")
    head = "import logging, sys\nimport pytest\nfrom tests.support.secrets import USER_PASSWORD\n"
    (directory / "test_it.py").write_text(f"{head}\n\ndef test_it():\n    {body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "--rootdir", directory, directory],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(BACKEND), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    return Run(status=done.returncode, output=done.stdout)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("print('it is', USER_PASSWORD)", id="stdout"),
        pytest.param("print(USER_PASSWORD, file=sys.stderr)", id="stderr"),
        pytest.param("logging.getLogger('app').warning('login with %s', USER_PASSWORD)", id="log"),
    ],
)
def test_a_secret_in_the_output_of_a_passing_test_fails_the_run(tmp_path: Path, body: str) -> None:
    run = run_with_plugin(tmp_path, body)

    assert run.status == 1
    assert "SECRET LEAKED: test_it.py::test_it (call)" in run.output


def test_a_secret_in_the_output_of_a_worker_fails_the_run(tmp_path: Path) -> None:
    run = run_with_plugin(tmp_path, "print('it is', USER_PASSWORD)", "-p", "xdist", "-n1")

    assert run.status == 1
    assert "SECRET LEAKED: test_it.py::test_it (call)" in run.output


def test_a_secret_in_a_failure_text_is_named(tmp_path: Path) -> None:
    run = run_with_plugin(tmp_path, "pytest.fail('cannot log in with ' + USER_PASSWORD)")

    assert "SEEDED_SECRETS[4] stands in: failure text" in run.output


def test_other_output_leaves_the_run_alone(tmp_path: Path) -> None:
    run = run_with_plugin(tmp_path, "print('nothing to see')")

    assert run.status == 0
    assert "SECRET LEAKED" not in run.output
