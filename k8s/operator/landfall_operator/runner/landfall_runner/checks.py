"""What only a look at the data tells of a plan: how large, whether NULLs or duplicates would refuse it."""

from __future__ import annotations

import re
from typing import Any, Iterator, List, NamedTuple

from .database import execute, scalar

IDENTIFIER = r'(?:"(?:[^"]|"")+"|[\w$]+)'
NAME = r"(%s(?:\s*\.\s*%s)?)" % (IDENTIFIER, IDENTIFIER)
ALTER = r"\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?%s\s+" % NAME
INDEX = r"\bINDEX\s+(?!CONCURRENTLY\b)(?:IF\s+NOT\s+EXISTS\s+)?(?:%s\s+)?ON\s+(?:ONLY\s+)?%s" % (IDENTIFIER, NAME)
ANY_INDEX = INDEX.replace(r"(?!CONCURRENTLY\b)", r"(?:CONCURRENTLY\s+)?")
COLUMNS = r"\s*(?:USING\s+\w+\s*)?\(([^()]+)\)(?!\s*WHERE\b)(?!\s*NULLS\s+NOT\b)"
TIMEOUT = "5s"
MAX_NOTES = 20


class Question(NamedTuple):
    """A count, and the sentence that it fills; nothing is said of zero."""

    statement: str
    sentence: str


class Rule(NamedTuple):
    pattern: "re.Pattern[str]"
    statement: str
    sentence: str


def _rule(pattern: str, statement: str, sentence: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), statement, sentence)


# %(1)s is the table, %(2)s the column or columns.
ROWS = "SELECT count(*) FROM %(1)s"
RULES = (
    _rule(
        ALTER + r"ALTER\s+(?:COLUMN\s+)?%s\s+SET\s+NOT\s+NULL" % NAME,
        "SELECT count(*) FROM %(1)s WHERE %(2)s IS NULL",
        "%(1)s.%(2)s has {count} NULLs, so NOT NULL will be refused.",
    ),
    _rule(
        ALTER + r"ADD\s+(?:CONSTRAINT\s+%s\s+)?(?:UNIQUE|PRIMARY\s+KEY)" % IDENTIFIER + COLUMNS,
        "SELECT count(*) FROM (SELECT 1 FROM %(1)s WHERE (%(2)s) IS NOT NULL GROUP BY %(2)s HAVING count(*) > 1) AS d",
        "%(1)s has {count} values of (%(2)s) more than once, so UNIQUE will be refused.",
    ),
    _rule(
        r"\bUNIQUE\s+" + ANY_INDEX[2:] + COLUMNS,
        "SELECT count(*) FROM (SELECT 1 FROM %(1)s WHERE (%(2)s) IS NOT NULL GROUP BY %(2)s HAVING count(*) > 1) AS d",
        "%(1)s has {count} values of (%(2)s) more than once, so UNIQUE will be refused.",
    ),
    _rule(
        ALTER + r"ALTER\s+(?:COLUMN\s+)?%s\s+(?:SET\s+DATA\s+)?TYPE\b" % IDENTIFIER,
        ROWS,
        "%(1)s has about {count} rows, which a change of type rewrites under a lock.",
    ),
    _rule(
        ALTER + r"(?:ADD\s+(?:CONSTRAINT\s+%s\s+)?(?:UNIQUE|PRIMARY|CHECK|FOREIGN|EXCLUDE)|ALTER\s+(?:COLUMN\s+)?%s\s+"
        r"SET\s+NOT\s+NULL)(?![^;]*\bNOT\s+VALID\b)" % (IDENTIFIER, IDENTIFIER),
        ROWS,
        "%(1)s has about {count} rows, all of which are checked under a lock.",
    ),
    _rule(r"\b" + INDEX[2:], ROWS, "%(1)s has about {count} rows, and no writes while the index is built."),
)


def live_checks(connection: Any, sql: str) -> List[str]:
    """Sentences about the tables that the plan names; a check that cannot be made is left out."""
    execute(connection, "SET statement_timeout = '%s'" % TIMEOUT)
    found: List[str] = []
    for question in dict.fromkeys(_questions(sql)):
        count = _count(connection, question.statement)
        if count:
            found.append(question.sentence.replace("{count}", str(count)))
    execute(connection, "RESET statement_timeout")
    return found[:MAX_NOTES]


def _questions(sql: str) -> Iterator[Question]:
    for rule in RULES:
        for match in rule.pattern.finditer(sql):
            values = {str(number): text.strip() for number, text in enumerate(match.groups(), start=1) if text}
            yield Question(rule.statement % values, rule.sentence % values)


def _count(connection: Any, statement: str) -> int:
    """0 also for a table that the plan itself makes, a column that it adds, a count that takes too long."""
    try:
        table = re.fullmatch(r"SELECT count\(\*\) FROM (%s)" % NAME, statement)
        if table:
            estimate = scalar(
                connection,
                "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(CAST(:name AS text))",
                name=table.group(1),
            )
            if estimate is None or estimate > 0:
                return int(estimate or 0)
        return int(connection.exec_driver_sql(statement.replace("%", "%%")).scalar() or 0)
    except Exception:
        return 0
