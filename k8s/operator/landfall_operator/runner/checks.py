"""What only a look at the data tells of a plan: how large, whether NULLs or duplicates would refuse it."""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Tuple

from database import execute, scalar

NAME = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
NOT_NULL = re.compile(r"ALTER TABLE (?:ONLY )?%s\s+ALTER COLUMN %s SET NOT NULL" % (NAME, NAME), re.IGNORECASE)
UNIQUE = re.compile(r"ALTER TABLE (?:ONLY )?%s\s+ADD CONSTRAINT \S+ UNIQUE \(([^)]+)\)" % NAME, re.IGNORECASE)
UNIQUE_INDEX = re.compile(
    r"CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?\S+ ON %s (?:USING \w+ )?\(([^)(]+)\)" % NAME,
    re.IGNORECASE,
)
REWRITE = re.compile(r"ALTER TABLE (?:ONLY )?%s\s+ALTER COLUMN \S+ (?:SET DATA )?TYPE" % NAME, re.IGNORECASE)
TIMEOUT = "SET statement_timeout = '5s'"
LARGE_ROWS = 100000  # a rewrite of fewer takes about a second


def live_checks(connection: Any, sql: str) -> List[str]:
    """Sentences about the tables that the plan names; a check that cannot be made is left out."""
    execute(connection, TIMEOUT)
    found = []
    for statement, sentence in _questions(sql):
        try:
            count = scalar(connection, statement)
        except Exception:  # noqa: S112 - a table that the plan itself creates, a column that it adds, a timeout
            continue
        if count:
            found.append(sentence % count)
    return found


def _questions(sql: str) -> Iterator[Tuple[str, str]]:
    for table, column in NOT_NULL.findall(sql):
        yield (
            "SELECT count(*) FROM %s WHERE %s IS NULL" % (table, column),
            "%s.%s has %%d NULLs, so NOT NULL will be refused." % (table, column),
        )
    for table, columns in UNIQUE.findall(sql) + UNIQUE_INDEX.findall(sql):
        yield (
            "SELECT count(*) FROM (SELECT 1 FROM %s GROUP BY %s HAVING count(*) > 1) AS d" % (table, columns),
            "%s has %%d values of (%s) more than once, so UNIQUE will be refused." % (table, columns),
        )
    for table in REWRITE.findall(sql):
        yield (
            "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('%s') AND reltuples > %d"
            % (table.replace("'", "''"), LARGE_ROWS),
            "%s has about %%d rows, all of which are rewritten under a lock." % table,
        )
