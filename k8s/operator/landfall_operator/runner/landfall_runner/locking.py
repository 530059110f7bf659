"""One run at a time: the lock, the end of what a dead run left behind, and the claim on the database."""

from __future__ import annotations

import json
import random
import time
import zlib
from typing import Any, Callable, Dict, Optional

from sqlalchemy.exc import DBAPIError

from .database import execute, quoted, scalar
from .errors import explain
from .report import Stop

POLL_SECONDS = 0.5  # a try for the lock; jittered by half
STRAY_POLL_SECONDS = 0.2
NAME_BYTES = 63  # PostgreSQL cuts an application_name there
CLAIM = "landfall: "


def lock_key(database: str, schema: str, table: str) -> int:
    """One number for one database and version table, the same for every runner; positive, so that pg_locks shows it."""
    name = json.dumps(["landfall", database, schema, table]).encode()
    return (zlib.crc32(name) & 0x7FFFFFFF) << 32 | zlib.crc32(name[::-1])


def waiting_name(owner: Dict[str, str]) -> str:
    """The application_name of what holds or awaits the lock, and of looks before it."""
    return _cut("landfall %(namespace)s/%(name)s" % owner)


def working_name(key: int, owner: Dict[str, str]) -> str:
    """The application_name of sessions that change the database under the lock: whoever has the lock next ends them."""
    return _cut("%s%s/%s" % (_mark(key), owner["namespace"], owner["name"]))


def _mark(key: int) -> str:
    return "landfall-run %016x " % key


def _cut(name: str) -> str:
    return name.encode()[:NAME_BYTES].decode("utf-8", "ignore")


def take_lock(connection: Any, key: int, wait_seconds: float, on_wait: Callable[[str], None]) -> float:
    """Take the lock by polling: a blocking lock would hold up CREATE INDEX CONCURRENTLY for its whole wait.

    Returns the seconds waited; raises Stop after `wait_seconds`.
    """
    started = time.monotonic()
    while not scalar(connection, "SELECT pg_try_advisory_lock(%d)" % key):
        waited = time.monotonic() - started
        holder = _holder(connection, key)
        if waited > wait_seconds:
            raise Stop(
                "LockWaitExceeded",
                "Another migration held the lock for %.0f s: %s. It is tried again; see what that one waits for."
                % (waited, holder),
                transient=True,
            )
        on_wait("waiting for the lock, held by %s" % holder)
        time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
    return time.monotonic() - started


def check_lock(connection: Any) -> None:
    """Raises Stop when the session that holds the lock is gone, and the lock with it."""
    try:
        scalar(connection, "SELECT 1")
    except DBAPIError as error:
        raise Stop(
            "LockLost",
            "The connection that held the lock is lost, so nothing more was started: %s" % explain(error),
            transient=True,
            again=True,
        ) from None


def end_strays(connection: Any, key: int, on_wait: Callable[[str], None]) -> None:
    """End the sessions of a run that died and whose statement the server still carries out; we hold its lock now.

    Without the right to end them it waits, at most until the run's own deadline.
    """
    listed = (
        "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND left(application_name, %d) = '%s'" % (len(_mark(key)), _mark(key))
    )
    while True:
        strays = [row[0] for row in execute(connection, "SELECT pid " + listed)]
        if not strays:
            return
        on_wait("waiting for the end of what an earlier run left running: pid %s" % ", ".join(map(str, strays)))
        try:
            execute(connection, "SELECT pg_terminate_backend(pid) " + listed)
        except DBAPIError as error:
            stop = explain(error)
            if stop is None or stop.fields.get("sqlstate") != "42501":
                raise
        time.sleep(STRAY_POLL_SECONDS)


def _holder(connection: Any, key: int) -> str:
    rows = execute(
        connection,
        "SELECT a.application_name, a.usename, coalesce(host(a.client_addr), 'local'), a.pid"
        " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND ((l.classid::bigint << 32) | l.objid::bigint) = %d" % key,
    ).fetchall()
    return ", ".join("%s (user %s, address %s, pid %s)" % tuple(row) for row in rows) or "an unknown session"


def read_claim(connection: Any, schema: Optional[str], table: str) -> Optional[Dict[str, str]]:
    """Who owns the database: a comment on the version table, which only the table's owner can write."""
    comment = scalar(
        connection, "SELECT obj_description(to_regclass(CAST(:name AS text)), 'pg_class')", name=quoted(schema, table)
    )
    if not comment or not str(comment).startswith(CLAIM):
        return None
    try:
        return dict(json.loads(str(comment)[len(CLAIM) :]))
    except ValueError:
        return None


def write_claim(connection: Any, schema: Optional[str], table: str, owner: Dict[str, str]) -> None:
    """Write the claim where there is a version table and it does not say so yet."""
    name = quoted(schema, table)
    there = scalar(connection, "SELECT to_regclass(CAST(:name AS text)) IS NOT NULL", name=name)
    if not there or read_claim(connection, schema, table) == owner:
        return
    text = (CLAIM + json.dumps(owner, sort_keys=True)).replace("'", "''")
    connection.exec_driver_sql("COMMENT ON TABLE %s IS '%s'" % (name.replace("%", "%%"), text.replace("%", "%%")))
