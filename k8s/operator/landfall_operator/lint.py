"""What a plan would do to those who use the database meanwhile: squawk's rules and ours, by our own severities."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from landfall_operator.statements import Statement, blank, statements

SQUAWK = str(Path(sys.executable).with_name("squawk"))  # beside the interpreter, also where PATH does not lead
SQUAWK_SECONDS = 30
SQUAWK_TRIES = 3
SQUAWK_PAUSE_SECONDS = 0.5
MAX_FINDINGS = 50
VERSION_TABLE = "alembic_version"

DESTRUCTIVE = frozenset(
    {"ban-drop-column", "ban-drop-table", "ban-drop-database", "ban-drop-schema", "ban-truncate-cascade"}
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
        "ban-drop-not-null",
        "ban-drop-view",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "renaming-column",
        "renaming-table",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "require-concurrent-partition-detach",
        "syntax-error",  # nothing is known of what cannot be read
        "transaction-nesting",
    }
)
# The runner sets the timeouts and Alembic keeps revisions from running twice; that leaves nothing of these.
EXCLUDED = ("prefer-robust-stmts", "require-timeout-settings", "require-lock-timeout", "require-statement-timeout")


@dataclass(frozen=True, kw_only=True)
class _Rule:
    severity: str
    rule: str
    pattern: re.Pattern[str]
    message: str


def _rule(severity: str, rule: str, pattern: str, message: str) -> _Rule:
    return _Rule(severity=severity, rule=rule, pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL), message=message)


# Found anywhere in a statement. squawk sees some of these too, where it can read the plan.
OWN_RULES = (
    _rule("Destructive", "truncate", r"\bTRUNCATE\b(?!\s+(?:ON|OR)\b|\s*[,(])", "TRUNCATE removes every row."),
    _rule("Destructive", "delete", r"\bDELETE\s+FROM\b|\bTHEN\s+DELETE\b", "DELETE removes rows."),
    _rule(
        "Destructive",
        "drop",
        r"\bDROP\s+(?:TABLE|COLUMN|SCHEMA|DATABASE|MATERIALIZED\s+VIEW|TYPE|DOMAIN|SEQUENCE|EXTENSION|OWNED"
        r"|ATTRIBUTE|FOREIGN\s+TABLE|SERVER)\b",
        "DROP removes it for good, with what it holds.",
    ),
    _rule(
        "Destructive",
        "drop",
        r"\bALTER\s+(?:FOREIGN\s+)?TABLE\b.*\bDROP\s+(?!COLUMN\b|CONSTRAINT\b|DEFAULT\b|NOT\s+NULL\b|EXPRESSION\b"
        r"|IDENTITY\b)(?:IF\b|[\w\"])",
        "DROP removes a column for good, with what it holds.",
    ),
    _rule("Blocking", "lock-table", r"^\s*LOCK\b", "LOCK holds others up until the transaction ends."),
    _rule("Blocking", "rewrite", r"^\s*(?:VACUUM\b.*\bFULL\b|CLUSTER\b)", "It rewrites the table under a lock."),
    _rule(
        "Blocking",
        "not-concurrently",
        r"^\s*(?:REINDEX|REFRESH\s+MATERIALIZED\s+VIEW)\b(?!.*\bCONCURRENTLY\b)",
        "It keeps readers out meanwhile: CONCURRENTLY does not.",
    ),
)
# Strings in these are not run: names, comments, the bodies of functions. In others they may be (DO, SELECT f('...')).
KEEPS_STRINGS = ("CREATE", "ALTER", "COMMENT", "DROP", "GRANT", "REVOKE", "SECURITY", "SET")
DEFINITION = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+(?:\w+\s*\.\s*)?(\w+)\s*\(", re.IGNORECASE
)

BOOKKEEPING = r"""\s*(?:CREATE TABLE THE_TABLE \([^;]*\bversion_num VARCHAR[^;]*\)
|INSERT INTO THE_TABLE \(version_num\) VALUES \('[^']*'\)(?: RETURNING [\w."]+)?
|UPDATE THE_TABLE SET version_num='[^']*' WHERE THE_TABLE\.version_num = '[^']*'
|DELETE FROM THE_TABLE WHERE THE_TABLE\.version_num = '[^']*'
|DROP TABLE THE_TABLE)\s*""".replace("\n", "")


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


def lint(sql: str, *, version_table: str = VERSION_TABLE, squawk: str = SQUAWK) -> list[Finding]:
    """The plan's findings, the worst first; line numbers are the plan's, from 1. Raises `LintError`.

    What destroys data is found without squawk too: it says nothing of a plan that it cannot read or whose comments
    tell it to be quiet.
    """
    parts = without_bookkeeping(sql, version_table=version_table)
    squawks = list(_from_squawk(sql, parts, squawk))
    told = {finding.line for finding in squawks if finding.severity == "Destructive"}
    findings = [*squawks, *_own(sql, parts, told)]
    rank: Sequence[str] = ("Destructive", "Blocking", "Style")
    unique: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        unique.setdefault((finding.line, finding.rule), finding)
    return sorted(unique.values(), key=lambda f: (rank.index(f.severity), f.line))[:MAX_FINDINGS]


def without_bookkeeping(sql: str, *, version_table: str = VERSION_TABLE) -> list[Statement]:
    """The statements without those that Alembic itself writes to its table, whose schema and name are given."""
    names = (re.escape(part) for part in version_table.split("."))
    table = r"\s*\.\s*".join(rf'(?:{name}|"{name}")' for name in names)
    own = re.compile(BOOKKEEPING.replace("THE_TABLE", table))
    return [statement for statement in statements(sql) if not own.fullmatch(statement.text)]


def count_statements(sql: str, *, version_table: str = VERSION_TABLE) -> int:
    """How many statements change anything: without Alembic's own, and without the edges of transactions."""
    parts = without_bookkeeping(sql, version_table=version_table)
    return sum(1 for part in parts if part.head not in {"BEGIN", "COMMIT"})


def _own(sql: str, parts: Sequence[Statement], told: set[int]) -> Iterator[Finding]:
    """What our rules find; a plain DROP that squawk has told of is not told twice."""
    dangerous: set[str] = set()
    for part in parts:
        searched = part.code if part.head in KEEPS_STRINGS else part.text
        known = part.head in {"DROP", "ALTER"} and any(_covers(sql, part, line) for line in told)
        for rule in OWN_RULES:
            match = rule.pattern.search(searched)
            if match and not (known and rule.rule == "drop"):
                line = part.line(sql, match.start() + _lead(match[0]))
                yield Finding(severity=rule.severity, rule=rule.rule, line=line, message=rule.message)
        defined = DEFINITION.match(part.text)
        if defined and any(r.severity == "Destructive" and r.pattern.search(part.text) for r in OWN_RULES):
            dangerous.add(defined[1])
        yield from _calls(sql, part, dangerous)


def _calls(sql: str, part: Statement, dangerous: set[str]) -> Iterator[Finding]:
    if part.head in KEEPS_STRINGS:
        return
    for name in sorted(dangerous):
        if re.search(rf"\b{re.escape(name)}\s*\(", part.text, re.IGNORECASE):
            message = f"It calls {name}, which this plan defines, and which removes what tables hold."
            yield Finding(severity="Destructive", rule="call", line=part.line(sql, _lead(part.code)), message=message)


def _lead(text: str) -> int:
    return len(text) - len(text.lstrip())


def _from_squawk(sql: str, parts: Sequence[Statement], squawk: str) -> Iterator[Finding]:
    """What squawk says; of a plan that it cannot read, what it says without the statements in its way."""
    readable = list(parts)
    while True:
        found = _squawk(_only(sql, readable), squawk)
        unread = [raw for raw in found if raw["rule_name"] == "syntax-error"]
        yield from (_judged(raw) for raw in found)
        kept = [part for part in readable if not any(_covers(sql, part, raw["line"] + 1) for raw in unread)]
        if not unread or len(kept) == len(readable):
            return
        readable = kept


def _only(sql: str, parts: Sequence[Statement]) -> str:
    """The plan with nothing but these statements, each where it stood; without comments, which may silence squawk."""
    text, at = [], 0
    for part in parts:
        end = part.start + len(part.text)
        text += [blank(sql[at : part.start]), part.text, ";"]
        at = end + 1
    return "".join([*text, blank(sql[at:])])


def _covers(sql: str, part: Statement, line: int) -> bool:
    return part.line(sql, _lead(part.code)) <= line <= part.line(sql, len(part.text))


def _squawk(sql: str, squawk: str) -> list[dict[str, Any]]:
    done = _run_squawk(sql, squawk)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)  # with nothing found it is [], never empty
    except ValueError:
        message = f"The plan could not be linted: squawk ended with {done.returncode} and without a result."
        raise LintError(message) from None
    return found


def _run_squawk(sql: str, squawk: str) -> subprocess.CompletedProcess[str]:
    """Run it to its own end; again where it was killed, which says nothing of the plan.

    Memory may have been short for a moment; and who kills the operator may meet this process first: what it left would
    stand as the last word on the plan.
    """
    command = [squawk, "--reporter", "json", "--stdin-filepath", "plan.sql", f"--exclude={','.join(EXCLUDED)}"]
    for left in reversed(range(SQUAWK_TRIES)):
        try:
            done = subprocess.run(
                command, input=sql, capture_output=True, text=True, timeout=SQUAWK_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LintError(f"The plan could not be linted: {error}") from None
        if done.returncode >= 0:
            return done
        if left:
            time.sleep(SQUAWK_PAUSE_SECONDS)
    message = f"squawk was ended by signal {-done.returncode}, {SQUAWK_TRIES} times. Has the operator memory enough?"
    raise LintError(f"The plan could not be linted: {message}")


def _judged(raw: dict[str, Any]) -> Finding:
    rule = raw["rule_name"]
    severity = "Destructive" if rule in DESTRUCTIVE else "Blocking" if rule in BLOCKING else "Style"
    return Finding(severity=severity, rule=rule, line=raw["line"] + 1, message=raw["message"])
