"""A small Alembic application in a directory, and the runner as a process in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from runner.postgres import query

RUNNER = Path(__file__).parents[2] / "landfall_operator/runner"
ENV = """
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
from alembic import op
revision = "{name}"
down_revision = {down!r}

def upgrade():
{body}
"""
WAIT_SECONDS = 20


@dataclass
class Finished:
    """A run's end: what it printed, and its report."""

    code: int
    output: bytes
    message: bytes

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.message)
        return report

    @property
    def reason(self) -> str:
        return str(self.report["reason"])

    @property
    def progress(self) -> list[str]:
        mark = "landfall-progress: "
        return [line.removeprefix(mark) for line in self.text.splitlines() if line.startswith(mark)]


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    log: Path
    message: Path

    def waits_for(self, words: str) -> None:
        until(lambda: words in self.log.read_text(), what=f"{words!r} in the log")

    def kill(self) -> None:
        """As when a node dies: no process of it gets to say anything."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def finish(self) -> Finished:
        code = self.process.wait(timeout=WAIT_SECONDS * 3)
        message = self.message.read_bytes() if self.message.exists() else b"{}"
        return Finished(code=code, output=self.log.read_bytes(), message=message)


@dataclass
class Application:
    directory: Path
    url: sa.URL
    runs: list[Running] = field(default_factory=list)

    def revision(self, name: str, down: str | None, *lines: str) -> None:
        """Add a revision; its lines are Python."""
        versions = self.directory / "versions"
        versions.mkdir(exist_ok=True)
        body = "\n".join(f"    {line}" for line in lines) or "    pass"
        (versions / f"{name}.py").write_text(REVISION.format(name=name, down=down, body=body))

    def env(self, text: str) -> None:
        (self.directory / "env.py").write_text(text)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        return query(self.url, statement)

    @cached_property
    def dsn(self) -> str:
        return self.url.render_as_string(hide_password=False)

    def start(self, *, url: str | None = None, **spec: Any) -> Running:
        number = len(self.runs)
        log, message = self.directory / f"log-{number}", self.directory / f"message-{number}"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DATABASE_URL": self.dsn if url is None else url,
            "LANDFALL_RUN": json.dumps(_spec(spec)),
            "LANDFALL_TERMINATION_LOG": str(message),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, RUNNER],
                cwd=self.directory,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(Running(process, log, message))
        return self.runs[-1]

    def run(self, *, url: str | None = None, **spec: Any) -> Finished:
        return self.start(url=url, **spec).finish()


def _spec(changes: dict[str, Any]) -> dict[str, Any]:
    return {
        "phase": "apply",
        "env": "DATABASE_URL",
        "alembic": {"config": "alembic.ini", "section": "alembic"},
        "target": "head",
        "baseline": None,
        "owner": {"namespace": "shop", "name": "api", "uid": "0001"},
        "takeOver": False,
        "planSha256": None,
        "connectWaitSeconds": 2,
        "deadlineSeconds": 60,
        "lockWaitSeconds": 20,
        "lockTimeoutSeconds": 0.3,
        "invalidIndexes": "Report",
        "graceSeconds": 1,
    } | changes


def until(look: Callable[[], object], *, what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)
