"""The termination message: always JSON, never longer than Kubernetes keeps."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List

MAX_BYTES = 4096  # Kubernetes keeps no more of a termination message
LOG_BYTES = 1200  # of them for the log's last lines; more where the rest leaves room
MAX_TEXT = 900  # characters of one text: some of them and the rest fit
LEAST_TEXT = 40
MAX_ITEMS = 20
FEW_ITEMS = 3
# What these say is decided upon: neither a limit nor a password of "head" or "Failed" may change it.
EXACT = frozenset(
    [
        "phase",
        "outcome",
        "reason",
        "state",
        "from",
        "current",
        "target",
        "heads",
        "plan",
        "planSha256",
        "lineage",
        "sqlstate",
        "claim",
    ]
)
NEEDED = ("phase", "outcome", "reason", "transient", "state", "current", "target", "plan", "lineage", "message")
SUCCESS = ("Succeeded", "Planned")

Redact = Callable[[str], str]


def encode(fields: Dict[str, Any], log: List[str], redact: Redact) -> bytes:
    """The report as JSON; a failure takes the log's last lines along, cut from the front."""
    failed = fields.get("outcome") not in SUCCESS
    data = _fitting(fields, MAX_BYTES - (LOG_BYTES if failed and log else 0), redact)
    lines = [redact(line) for line in log] if failed else []
    while lines:
        data["log"] = "\n".join(lines)
        excess = len(_json(data)) - MAX_BYTES
        if excess <= 0:
            break
        lines = lines[1:] if len(lines) > 1 else [lines[0][min(excess, len(lines[0])) :]] if lines[0] else []
        data.pop("log")
    return _json(data)


def _fitting(fields: Dict[str, Any], size: int, redact: Redact) -> Dict[str, Any]:
    """Texts are cut before they are encoded, so that it stays JSON."""
    limit = MAX_TEXT
    while limit >= LEAST_TEXT:
        cut = {name: _exact(value) if name in EXACT else _cut(value, limit, redact) for name, value in fields.items()}
        if len(_json(cut)) <= size:
            return cut
        limit //= 2
    return {name: cut[name] for name in NEEDED if name in cut}


def _exact(value: Any) -> Any:
    return value[:MAX_ITEMS] if isinstance(value, list) else value


def _cut(value: Any, limit: int, redact: Redact) -> Any:
    if isinstance(value, str):
        text = redact(value)
        return text if len(text) <= limit else text[: limit - 1] + "…"
    if isinstance(value, list):
        count = MAX_ITEMS if limit == MAX_TEXT else max(FEW_ITEMS, limit // 50)
        return [_cut(item, min(limit, 200), redact) for item in value[:count]]
    if isinstance(value, dict):
        return {name: _cut(item, limit, redact) for name, item in value.items()}
    return value


def _json(fields: Dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
