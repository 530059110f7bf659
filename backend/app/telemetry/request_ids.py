"""The id that ties a response, its log lines and its audit events together."""

from __future__ import annotations

import re
from contextvars import ContextVar
from secrets import token_hex

HEADER = b"x-request-id"
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# Worker threads see it too: they run in a copy of the request's context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def choose_request_id(offered: bytes | None) -> str:
    """The client's id where it is short and harmless in a log, otherwise a new one (32 hexadecimal digits)."""
    return offered.decode() if offered and _ACCEPTABLE.fullmatch(offered) else token_hex(16)
