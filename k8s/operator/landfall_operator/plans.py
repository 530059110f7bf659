"""Plans: found in a run's log, kept in a ConfigMap."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from landfall_operator.constants import PLAN_BYTES
from landfall_operator.lint import VERSION_TABLE, Finding, count_statements
from landfall_operator.views import Migration, Run

BEGIN = re.compile(rb"-----BEGIN LANDFALL (\w+) (\d+) ([0-9a-f]{64})-----\n")


class FrameError(Exception):
    """The log does not carry what the report announces."""


def frame(log: bytes, name: str, *, sha256: str) -> str:
    """A framed text of the log, whole and unchanged; raises `FrameError`."""
    for match in BEGIN.finditer(log):
        if match[1].decode() == name and match[3].decode() == sha256:
            data = log[match.end() : match.end() + int(match[2])]
            if hashlib.sha256(data).hexdigest() == sha256:
                return data.decode("utf-8", "replace")
    raise FrameError(f"the log has no {name.lower()} with the SHA-256 {sha256[:12]}…")


def config_map_name(migration: Migration) -> str:
    return f"{migration.name[:240]}-plan"


def build_config_map(migration: Migration, sql: str) -> dict[str, Any]:
    data = sql.encode()
    note = ""
    if len(data) > PLAN_BYTES:
        note = f"\n-- Cut here by landfall: {PLAN_BYTES} of {len(data)} bytes are shown; the Job's log has all.\n"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": migration.child(config_map_name(migration)),
        "data": {"plan.sql": data[:PLAN_BYTES].decode("utf-8", "ignore") + note},
    }


def approval_hash(run: Run) -> str:
    """What an approval names: of the SQL, the image that wrote it, and the revisions that it starts from."""
    parts = [run.report["plan"]["sha256"], run.image, run.digest, run.report.get("current")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def plan_status(migration: Migration, run: Run, sql: str, findings: list[Finding]) -> dict[str, Any]:
    checks = run.report.get("checks") or []
    status = {
        "job": run.job,
        "hash": approval_hash(run),
        "configMap": config_map_name(migration),
        "sha256": hashlib.sha256(sql.encode()).hexdigest(),
        "bytes": len(sql.encode()),
        "statements": count_statements(sql, version_table=run.report.get("versionTable") or VERSION_TABLE),
        "findings": [finding.as_dict() for finding in findings],
    }
    return status | ({"note": " ".join(checks)} if checks else {})
