"""Small helpers around commands, ports and waiting."""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

POLL_SECONDS = 0.02

T = TypeVar("T")


class MissingToolError(Exception):
    """Something that a test needs is not on this machine; the text is one line that says what was tried."""


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float, what: str) -> None:
    """Poll `condition`; raises `TimeoutError` naming `what` when it stays false."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:g} s")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(
    command: Sequence[str | Path],
    *,
    timeout_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> str:
    """The command's output; raises `MissingToolError` with the last line that it wrote when it fails."""
    name = " ".join([Path(command[0]).name, *map(str, command[1:2])])
    try:
        return subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            cwd="/",  # where any user may stand
            user=user,
            group=user and primary_group(user),
            extra_groups=[] if user else None,
            timeout=timeout_seconds,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except FileNotFoundError:
        raise MissingToolError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise MissingToolError(f"{name}: took more than {timeout_seconds:g} s") from None
    except subprocess.CalledProcessError as error:
        raise MissingToolError(f"{name}: {last_line(error.stderr) or f'exit status {error.returncode}'}") from None


def primary_group(user: str) -> int:
    """The id of the group that the user's files belong to."""
    return pwd.getpwnam(user).pw_gid


def last_line(text: str) -> str:
    """The last line of a tool's output that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def first_that_starts(ways: Sequence[tuple[str, Callable[[], T]]], *, what: str) -> T:
    """What the first of the named ways gives; raises `MissingToolError` with each way's reason when all fail."""
    reasons = []
    for name, way in ways:
        try:
            return way()
        except MissingToolError as error:
            reasons.append(f"{name}: {error}")
    raise MissingToolError(f"no {what}; tried {'; '.join(reasons)}")


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold a machine-wide lock: parallel test runs do not install or build the same thing twice."""
    path = Path(tempfile.gettempdir()) / f"landfall-tests-{os.getuid()}-{name}.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
