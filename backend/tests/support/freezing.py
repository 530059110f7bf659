"""A server that hangs: it keeps its connections and answers nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.runners import ContainerRunner, ProcessRunner, Runner
from tests.support.tools import MissingToolError, run


@contextmanager
def frozen(runner: Runner | None) -> Iterator[None]:
    """Stop the server's processes for the time of the block, as a machine does that swaps or has lost its disk."""
    if isinstance(runner, ContainerRunner):
        run(["docker", "pause", runner.name])
        try:
            yield
        finally:
            run(["docker", "unpause", runner.name])
        return
    if not isinstance(runner, ProcessRunner) or runner.process is None:
        raise MissingToolError("a server of the tests' own, to be frozen")
    parent = runner.process.pid
    os.kill(parent, signal.SIGSTOP)  # first, so that it forks no more
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (parent, *children):
            os.kill(pid, signal.SIGCONT)
