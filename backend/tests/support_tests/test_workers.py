from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BACKEND = Path(__file__).parents[2]
HEAD = """
import os, time
from pathlib import Path
import pytest

def note(*words):
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(" ".join(words) + "\\n")

"""
ORDINARY = """
@pytest.mark.parametrize("number", range({}))
def test_ordinary(number):
    note("in")
    time.sleep(0.1)
    note("out")
"""
ALONE = """
@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_alone(number):
    note("alone")
    time.sleep(0.5)
    note("over")
"""
LAST = """
@pytest.mark.last
def test_last():
    note("last")
"""


def notes_of_two_workers(directory: Path, **files: str) -> list[str]:
    """What the tests of these files noted, one after the other."""
    (directory / "conftest.py").write_text(
        "from tests.support.workers import pytest_collection_modifyitems, pytest_configure\n"
    )
    for name, body in files.items():
        (directory / f"test_{name}.py").write_text(HEAD + body)
    notes = directory / "notes"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", f"--rootdir={directory}"]
    done = subprocess.run(
        [*command, "-n2", "--dist=loadfile", "--no-loadscope-reorder", f"--basetemp={directory / 'base'}", directory],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(BACKEND), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NOTES": str(notes)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return notes.read_text().split()


def test_the_other_worker_waits_while_tests_run_alone(tmp_path: Path) -> None:
    notes = notes_of_two_workers(tmp_path, alone=ALONE, ordinary=ORDINARY.format(20))

    first = notes.index("alone")
    assert notes[first : first + 4] == ["alone", "over"] * 2
    assert notes[:first].count("in") == notes[:first].count("out")


def test_the_last_test_waits_for_the_other_worker_s_tests_also_for_those_that_are_alone(tmp_path: Path) -> None:
    notes = notes_of_two_workers(tmp_path, a=LAST, b=ORDINARY.format(3) + ALONE)

    assert notes == ["in", "out"] * 3 + ["alone", "over"] * 2 + ["last"]
