"""How a server of the tests' own runs: as a child process or in a container."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support.tools import MissingToolError, last_line, primary_group, run

STOP_SECONDS = 20


class Runner(Protocol):
    """Starts a server, stops it and starts it again on the same port with the same data."""

    def start(self) -> None: ...

    def stop(self, *, immediate: bool) -> None:
        """End the server; immediate: as a crash does, without a farewell to its clients."""

    def check_alive(self) -> None:
        """Raise `MissingToolError` with the server's last line when it has ended by itself."""

    def remove(self) -> None:
        """Stop it and delete its data."""


@dataclass(kw_only=True)
class ProcessRunner:
    """A child process; everything under `directory` is its own and goes with it."""

    command: Sequence[str | Path]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    polite_signal: signal.Signals = signal.SIGTERM
    rude_signal: signal.Signals = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                cwd=self.directory,
                user=self.user,
                group=self.user and primary_group(self.user),
                extra_groups=[] if self.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the server
            )

    def stop(self, *, immediate: bool) -> None:
        if self.process is None:
            return
        self.process.send_signal(self.rude_signal if immediate else self.polite_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def check_alive(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            self.process = None
            raise MissingToolError(f"{Path(self.command[0]).name} ended: {last_line(self.log.read_text())}")

    def remove(self) -> None:
        self.stop(immediate=True)
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclass(kw_only=True)
class ContainerRunner:
    """A Docker container with one port published on 127.0.0.1."""

    image: str
    name: str
    published_port: int
    container_port: int
    environment: Mapping[str, str] = field(repr=False)
    arguments: Sequence[str] = ()
    created: bool = field(default=False, init=False)

    def start(self) -> None:
        if self.created:
            run(["docker", "start", self.name])
            return
        run(["docker", "info"], timeout_seconds=10)
        self.created = True
        options = [
            "--detach",
            "--name",
            self.name,
            "--publish",
            f"127.0.0.1:{self.published_port}:{self.container_port}",
        ]
        variables = [part for key in self.environment for part in ("--env", key)]  # values by environment, not by ps
        run(
            ["docker", "run", *options, *variables, self.image, *self.arguments],
            timeout_seconds=600,
            environment=self.environment,
        )

    def stop(self, *, immediate: bool) -> None:
        run(["docker", "kill" if immediate else "stop", self.name])

    def check_alive(self) -> None:
        if run(["docker", "inspect", "--format", "{{.State.Running}}", self.name]).strip() != "true":
            raise MissingToolError(f"the container of {self.image} ended: {last_line(self._logs())}")

    def remove(self) -> None:
        if self.created:
            run(["docker", "rm", "--force", "--volumes", self.name])
            self.created = False

    def _logs(self) -> str:
        return run(["docker", "logs", self.name])
