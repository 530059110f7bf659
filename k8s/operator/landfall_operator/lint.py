"""What a plan would do to those who use the database meanwhile: squawk's rules, by our own severities."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SQUAWK_SECONDS = 30
MAX_FINDINGS = 50

DESTRUCTIVE = frozenset(
    {"ban-drop-column", "ban-drop-table", "ban-drop-database", "ban-truncate-cascade", "ban-drop-not-null"}
)
BLOCKING = frozenset(
    {
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "adding-required-field",
        "adding-serial-primary-key-field",
        "ban-alter-domain-with-add-constraint",
        "ban-concurrent-index-creation-in-transaction",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "renaming-column",
        "renaming-table",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "transaction-nesting",
    }
)
# The runner sets the timeouts and Alembic keeps revisions from running twice; that leaves nothing of these.
EXCLUDED = ("prefer-robust-stmts", "require-timeout-settings", "require-lock-timeout", "require-statement-timeout")
# squawk sees no data loss in these.
OWN_RULES = (
    (re.compile(r"^\s*TRUNCATE\b", re.IGNORECASE), "truncate", "TRUNCATE removes every row."),
    (re.compile(r"^\s*DELETE\s+FROM\b", re.IGNORECASE), "delete", "DELETE removes rows."),
    (
        re.compile(r"^\s*DROP\s+(SCHEMA|MATERIALIZED\s+VIEW|TYPE|SEQUENCE)\b", re.IGNORECASE),
        "drop",
        "DROP removes an object for good.",
    ),
)


class LintError(Exception):
    """squawk could not be run, or did not answer as JSON."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    severity: str
    rule: str
    line: int
    message: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def lint(sql: str) -> list[Finding]:
    """The plan's findings, the worst first; line numbers are the plan's, from 1. Raises `LintError`."""
    bare = without_bookkeeping(sql)
    findings = [*_own(bare), *(_judged(raw) for raw in _squawk(bare))]
    rank: Sequence[str] = ("Destructive", "Blocking", "Style")
    unique = {(f.line, f.rule): f for f in findings}
    return sorted(unique.values(), key=lambda f: (rank.index(f.severity), f.line))[:MAX_FINDINGS]


def without_bookkeeping(sql: str) -> str:
    """Blank Alembic's own statements, so that nothing is said of them and the line numbers stay."""
    lines, inside = [], False
    for line in sql.split("\n"):
        own = inside or re.match(
            r"^\s*(CREATE TABLE|DROP TABLE|INSERT INTO|UPDATE|DELETE FROM)\s+\S*alembic_version\b", line, re.IGNORECASE
        )
        inside = bool(own) and not line.rstrip().endswith(";")
        lines.append("" if own else line)
    return "\n".join(lines)


def _own(sql: str) -> list[Finding]:
    found = []
    for number, line in enumerate(sql.split("\n"), start=1):
        for pattern, rule, message in OWN_RULES:
            if pattern.match(line):
                found.append(Finding(severity="Destructive", rule=rule, line=number, message=message))
    return found


def _squawk(sql: str) -> list[dict[str, Any]]:
    command = ["squawk", "--reporter", "json", "--stdin-filepath", "plan.sql", f"--exclude={','.join(EXCLUDED)}"]
    try:
        done = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=SQUAWK_SECONDS, check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise LintError(f"The plan could not be linted: {error}") from None
    return found


def _judged(raw: dict[str, Any]) -> Finding:
    rule = raw["rule_name"]
    severity = "Destructive" if rule in DESTRUCTIVE else "Blocking" if rule in BLOCKING else "Style"
    return Finding(severity=severity, rule=rule, line=raw["line"] + 1, message=raw["message"])
