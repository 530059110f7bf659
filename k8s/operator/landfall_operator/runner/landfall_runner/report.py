"""What the worker tells its supervisor: a JSON a line, through a pipe of their own."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict


class Stop(Exception):  # noqa: N818 - the end of a run, which need not be an error
    """The end of a run: `outcome` is Failed, Refused, Planned or Interrupted, `reason` a CamelCase word.

    transient: another Job may succeed where this one did not; again: this Job itself may try once more.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        outcome: str = "Failed",
        transient: bool = False,
        again: bool = False,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome
        self.transient = transient
        self.again = again
        self.fields = fields


class Interrupted(BaseException):
    """The supervisor asked for an end; no `except Exception` of an application may swallow that."""


class Report:
    """The worker's end of the pipe. What is told at once is known also when the worker dies the next moment."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb")
        self._progress = ""

    def set(self, **fields: Any) -> None:
        """Set fields of the report; None takes one back."""
        self._send({"set": fields})

    def end(self, stop: Stop) -> None:
        self.set(outcome=stop.outcome, reason=stop.reason, message=str(stop), transient=stop.transient, **stop.fields)

    def say(self, text: str) -> None:
        """A line of the log."""
        self._send({"say": text})

    def progress(self, text: str) -> None:
        """What the run is doing or waiting for, which the Migration shows; the same twice is told once."""
        if text != self._progress:
            self._progress = text
            self._send({"progress": text})

    def frame(self, name: str, text: str) -> Dict[str, Any]:
        """Put a long text into the log, unchanged; the operator finds it by its length and hash, which are returned."""
        data = text.encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        self._send({"frame": name, "sha256": digest, "text": data.decode()})
        return {"bytes": len(data), "sha256": digest}

    def _send(self, message: Dict[str, Any]) -> None:
        self._pipe.write(json.dumps(message).encode() + b"\n")
        self._pipe.flush()
