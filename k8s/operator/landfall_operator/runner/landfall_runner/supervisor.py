"""The container's first process: a child does the work, and whatever becomes of it, this process reports.

A child may be killed by the kernel, end itself, or sit in a driver's C code where Python's signal handlers do not run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NoReturn, Optional, TextIO

from .message import SUCCESS, encode
from .redaction import Redactor
from .report import Interrupted, Report, Stop

TERMINATION_LOG = "/dev/termination-log"
PROGRESS = "landfall-progress: "
LOG_LINES = 20
LINE_BYTES = 64 * 1024  # what is longer is cut: it has to be redacted as a whole
READ_BYTES = 64 * 1024

Work = Callable[[Report], None]


class Supervisor:
    def __init__(self, redactor: Redactor, *, phase: str, deadline_seconds: float, grace_seconds: float) -> None:
        self._redact = redactor
        self._grace = grace_seconds
        self._fields: Dict[str, Any] = {"phase": phase}
        self._started = time.monotonic()
        self._deadline: Optional[float] = self._started + deadline_seconds
        self._kill_at: Optional[float] = None
        self._stopped: Optional[Stop] = None
        self._killed = False
        self._log: Deque[str] = deque(maxlen=LOG_LINES)

    def run(self, work: Work) -> int:
        """Run the work in a child to its end; returns the container's exit code."""
        wakeups = _wakeups()
        told, telling = os.pipe()
        printed, printing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            for unused in (wakeups, told, printed):
                os.close(unused)
            _work(work, telling, printing)
        os.close(telling)
        os.close(printing)
        status = self._watch(wakeups, {told: _Lines(self._hear), printed: _Lines(self._print_line, LINE_BYTES)})
        self._judge(status)
        self._write()
        return 0 if self._fields["outcome"] in SUCCESS else 1

    def _watch(self, wakeups: int, pipes: "Dict[int, _Lines]") -> int:
        """Pass on what the child writes until it ends; the pipes may outlive it, held by its own children."""
        for pipe in pipes:
            os.set_blocking(pipe, False)
        unended = list(pipes)
        status: Optional[int] = None
        while status is None:
            ready = select.select([wakeups, *unended], [], [], self._seconds_left())[0]
            if wakeups in ready and set(os.read(wakeups, READ_BYTES)) & {signal.SIGTERM, signal.SIGINT}:
                self._stop(Stop("Interrupted", "The run was told to stop", outcome="Interrupted", transient=True))
            unended = [pipe for pipe in unended if pipe not in ready or pipes[pipe].read(pipe)]
            self._enforce()
            status = _ended(self._child)
        for pipe in unended:
            while pipes[pipe].read(pipe, drain=True):
                pass
        for lines in pipes.values():
            lines.close()
        return status

    def _seconds_left(self) -> Optional[float]:
        moments = [moment for moment in (self._deadline, self._kill_at) if moment is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _enforce(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at, self._killed = None, True
            os.kill(self._child, signal.SIGKILL)
        if self._deadline is not None and now >= self._deadline:
            message = "The run did not end within spec.policy.deadline, %.0f s" % (self._deadline - self._started)
            self._stop(Stop("DeadlineExceeded", message, advice="Raise it, or see in the log what the run waited for."))

    def _stop(self, stop: Stop) -> None:
        """Ask the child to end; the first reason counts."""
        self._deadline = None
        if self._stopped is None:
            self._stopped = stop
            self._kill_at = time.monotonic() + self._grace
            os.kill(self._child, signal.SIGTERM)

    def _hear(self, line: bytes) -> None:
        message = json.loads(line.decode())
        if "set" in message:
            self._fields.update(message["set"])
        elif "frame" in message:
            self._print_frame(message["frame"], message["sha256"], message["text"].encode())
        elif "progress" in message:
            text = self._redact(message["progress"])
            self._log.append(text)
            _print((PROGRESS + text + "\n").encode("utf-8", "replace"))
        else:
            for text in message["say"].split("\n"):
                self._print_line(text.encode("utf-8", "replace"))

    def _print_line(self, line: bytes) -> None:
        text = self._redact(line.decode("utf-8", "replace"))
        self._log.append(text)
        _print((text + "\n").encode())

    def _print_frame(self, name: str, sha256: str, data: bytes) -> None:
        _print(b"\n-----BEGIN LANDFALL %s %d %s-----\n" % (name.encode(), len(data), sha256.encode()))
        _print(data)
        _print(b"\n-----END LANDFALL %s-----\n" % name.encode())

    def _judge(self, status: int) -> None:
        """Say how it ended: as the child told, else by the way that it went."""
        stop = self._stopped
        if self._fields.get("outcome") in SUCCESS or (self._fields.get("outcome") and stop is None):
            return
        if stop is None:
            stop = _sudden_end(status)
        else:
            where = " during the revision %s" % self._fields["revision"] if self._fields.get("revision") else ""
            killed = "; it went on for %.0f s and was killed" % self._grace if self._killed else ""
            stop.args = (" ".join([str(stop) + where + killed + ".", stop.fields.pop("advice", "")]).strip(),)
        self._fields.update(outcome=stop.outcome, reason=stop.reason, message=str(stop), transient=stop.transient)

    def _write(self) -> None:
        self._fields["seconds"] = round(time.monotonic() - self._started, 3)
        fields = {name: value for name, value in self._fields.items() if value is not None}
        encoded = encode(fields, list(self._log), self._redact)
        path = os.environ.get("LANDFALL_TERMINATION_LOG", TERMINATION_LOG)
        try:
            with open(path, "wb") as file:
                file.write(encoded)
        except OSError as error:
            _print(("The report could not be written to %s: %s\n" % (path, error)).encode())
        _print(b"landfall: " + encoded + b"\n")


class _Lines:
    """Cuts a stream into lines; of one longer than the limit the rest is dropped."""

    def __init__(self, tell: Callable[[bytes], None], limit: Optional[int] = None) -> None:
        self._tell = tell
        self._limit = limit
        self._rest: List[bytes] = []
        self._size = 0

    def read(self, descriptor: int, *, drain: bool = False) -> bool:
        """Read once; False at the stream's end, and with `drain` where there is nothing now."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return not drain
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            self._flush()
        self._keep(rest)
        return bool(data)

    def close(self) -> None:
        if self._size:
            self._flush()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._limit is None or self._size <= self._limit:
            self._rest.append(part)

    def _flush(self) -> None:
        cut = b" [%d bytes are cut]" % (self._size - sum(map(len, self._rest)))
        line = b"".join(self._rest) + (cut if self._limit is not None and self._size > self._limit else b"")
        self._rest, self._size = [], 0
        self._tell(line)


def _wakeups() -> int:
    """A descriptor that gets the number of each signal that arrives, before or after it is waited for."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing)
    return reading


def _ended(child: int) -> Optional[int]:
    pid, status = os.waitpid(child, os.WNOHANG)
    return status if pid else None


def _sudden_end(status: int) -> Stop:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name
        if number == signal.SIGKILL:
            return Stop(
                "OutOfMemory",
                "The run was killed (SIGKILL), most likely at its memory limit. "
                "Raise the limit in spec.template.resources.",
            )
        return Stop("RunnerCrashed", "The run was ended by %s, in the driver or another C library." % name)
    code = os.WEXITSTATUS(status)
    return Stop("EnvExited", "env.py or a revision ended the process with the code %d, without an error." % code)


def _work(work: Work, telling: int, printing: int) -> NoReturn:
    """The child: everything that it and its libraries print goes to the supervisor."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's reaches the whole group: the supervisor decides
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report = Report(telling)
    try:
        for standard in (1, 2):
            os.dup2(printing, standard)
        os.close(printing)
        sys.stdout, sys.stderr = _line_by_line(1), _line_by_line(2)
        work(report)
    except Stop as stop:
        report.end(stop)
    except Interrupted:
        report.say("Interrupted.")
    except BaseException:
        traceback.print_exc()
        report.end(Stop("RunnerFailed", "The runner itself failed: see the log."))
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # Not by sys.exit: threads and atexit functions of the application have no say in a run that is over.
        os._exit(0)


def _line_by_line(descriptor: int) -> TextIO:
    """Written through, so that a process that is killed has said what it printed."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise Interrupted


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
