"""`landfall` as people run it: a process of its own, told everything by its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.secrets import SIGNING_KEY
from tests.support.tools import wait_until

LANDFALL = Path(sys.executable).with_name("landfall")
BACKEND = Path(__file__).parents[2]
COMMAND_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Done:
    """A process that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The one line of its errors that is no log; fails where there are more, as of a traceback."""
        lines = [line for line in self.stderr.splitlines() if not line.startswith("{")]
        assert len(lines) == 1, self.stderr
        return lines[0]


def environment_for(directory: Path, *, database_url: str | None = None, **variables: str) -> dict[str, str]:
    """The whole environment of a process whose files are all in `directory`; JSON logs tell themselves apart."""
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "test",
        "AUTH_SIGNING_KEYS": SIGNING_KEY,
        "AUTH_BCRYPT_ROUNDS": "4",
        "DATABASE_URL": database_url or "",
        "DATABASE_SQLITE_PATH": str(directory / "landfall.sqlite3"),
        "ARTIFACTS_DIRECTORY": str(directory / "artifacts"),
        **variables,
    }


def run_command(
    command: Sequence[str | Path], *, environment: Mapping[str, str], directory: Path, stdin: str = ""
) -> Done:
    """Run it to its end; what it writes is written again here, where it is searched for secrets."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        start_new_session=True,  # without a terminal, passwords are read from the input
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return Done(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def landfall(*arguments: str, environment: Mapping[str, str], directory: Path, stdin: str = "") -> Done:
    return run_command([LANDFALL, *arguments], environment=environment, directory=directory, stdin=stdin)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that is at work; its output so far is in files."""

    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def stdout(self) -> str:
        return (self.directory / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.directory / "stderr").read_text()

    def wait_for(self, text: str, *, timeout_seconds: float = COMMAND_SECONDS) -> None:
        """Wait until it has written `text`; fails with its output when it ends instead."""

        def written() -> bool:
            if text in self.stdout + self.stderr:
                return True
            assert self.process.poll() is None, self.stdout + self.stderr
            return False

        wait_until(written, timeout_seconds=timeout_seconds, what=f"output with {text!r}")

    def end(self) -> Done:
        """Wait for its end; kill it when that does not come."""
        try:
            self.process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        return Done(exit_code=self.process.returncode, stdout=self.stdout, stderr=self.stderr)


def start(*arguments: str, environment: Mapping[str, str], directory: Path) -> Running:
    """Start `landfall` and do not wait; its output goes to `directory`, where it runs."""
    directory.mkdir(exist_ok=True)
    with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [LANDFALL, *arguments],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    return Running(process=process, directory=directory)
