"""What a run tells the operator: a short JSON as the container's termination message, long texts framed in its log."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from typing import Any, Dict, List, Optional

TERMINATION_LOG = os.environ.get("LANDFALL_TERMINATION_LOG", "/dev/termination-log")
MAX_BYTES = 4096  # Kubernetes keeps no more of a termination message
MAX_TEXT = 900  # characters of one text: four of them and the rest fit
LEAST_TEXT = 40
MAX_PENDING = 20
CREDENTIALS = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
PASSWORD = re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)


class Stop(Exception):  # noqa: N818 - the end of a run, which need not be an error
    """The end of a run: `outcome` is Failed, Refused or Interrupted, `reason` a CamelCase word for a condition."""

    def __init__(
        self, reason: str, message: str, *, outcome: str = "Failed", transient: bool = False, **fields: Any
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome = outcome
        self.transient = transient
        self.fields = fields


class Report:
    """Collects what is known, so that every exit can tell it."""

    def __init__(self, secrets: Optional[List[str]] = None) -> None:
        self._fields: Dict[str, Any] = {}
        self._secrets = [secret for secret in secrets or [] if secret]

    def set(self, **fields: Any) -> None:
        self._fields.update((name, value) for name, value in fields.items() if value is not None)

    def get(self, name: str) -> Any:
        return self._fields.get(name)

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return PASSWORD.sub(r"\1***", CREDENTIALS.sub(r"\1***@", text))

    def say(self, text: str) -> None:
        sys.stderr.write(self.redact(text) + "\n")
        sys.stderr.flush()

    def frame(self, name: str, text: str) -> Dict[str, Any]:
        """Write a long text to the log; the operator finds it there by its length and hash, which are returned."""
        data = text.encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        sys.stdout.flush()
        out = sys.stdout.buffer
        out.write(b"\n-----BEGIN LANDFALL %s %d %s-----\n" % (name.encode(), len(data), digest.encode()))
        out.write(data)
        out.write(b"\n-----END LANDFALL %s-----\n" % name.encode())
        out.flush()
        return {"bytes": len(data), "sha256": digest}

    def write(self) -> None:
        """Write the termination message: texts are cut before they are encoded, so that it stays JSON."""
        fields = {name: self._cut(value) for name, value in self._fields.items()}
        limit = MAX_TEXT
        encoded = _encode(fields)
        while len(encoded) > MAX_BYTES and limit > LEAST_TEXT:
            limit //= 2
            fields = {name: self._cut(value, limit) for name, value in self._fields.items()}
            encoded = _encode(fields)
        try:
            with open(TERMINATION_LOG, "wb") as file:
                file.write(encoded)
        except OSError as error:
            self.say("The report could not be written to %s: %s" % (TERMINATION_LOG, error))
        self.say("landfall: %s" % encoded.decode())

    def _cut(self, value: Any, limit: int = MAX_TEXT) -> Any:
        if isinstance(value, str):
            text = self.redact(value)
            return text if len(text) <= limit else text[: limit - 1] + "…"
        if isinstance(value, list):
            items = value if limit == MAX_TEXT else value[: max(3, limit // 50)]
            return [self._cut(item, min(limit, 200)) for item in items[:MAX_PENDING]]
        if isinstance(value, dict):
            return {name: self._cut(item, limit) for name, item in value.items()}
        return value


def _encode(fields: Dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
