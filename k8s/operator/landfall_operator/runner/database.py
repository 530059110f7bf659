"""The runner's own connections: the lock, the claim, and what the server knows."""

from __future__ import annotations

import json
import random
import time
import zlib
from typing import Any, Callable, Dict, List, Optional, Tuple

import sqlalchemy as sa
from report import Report, Stop

POLL_SECONDS = 0.5  # a try for the lock; jittered by half
CONNECT_SECONDS = 5
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
CLAIM = "landfall: "
TRANSIENT = {"55P03", "40P01", "40001", "57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006", "53300"}
ADVICE = {
    "28P01": ("WrongPassword", "The server refuses the user's password. Correct it in the Secret that urlFrom names."),
    "28000": ("LoginRefused", "The server refuses the login. Look at the user, pg_hba.conf and sslmode."),
    "3D000": ("DatabaseMissing", "The database does not exist. Create it, or correct its name in the URL."),
    "42501": ("PermissionDenied", "The user may not do this. Let the owner of the schema migrate."),
    "53100": ("DiskFull", "The server's disk is full. Make room, then ask for a retry."),
    "53200": ("ServerOutOfMemory", "The server is out of memory."),
    "55P03": ("LockTimeout", "Another session held the table's lock for too long, in each of the tries."),
}
# psycopg2 gives no SQLSTATE for a refused connection, only the server's words.
CONNECT_WORDS = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("server does not support SSL", "28000"),
    ('role "', "28000"),
    ('database "', "3D000"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
)


def sqlstate(error: BaseException) -> Optional[str]:
    """The server's code, whichever driver raised it; for a refused connection by the server's words."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "pgcode", None) or getattr(origin, "sqlstate", None)
    if code:
        return str(code)
    text = str(origin)
    return next((state for words, state in CONNECT_WORDS if words in text), None)


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke, or never came about for a reason that may pass."""
    if getattr(error, "connection_invalidated", False):
        return True
    name = type(getattr(error, "orig", None) or error).__name__
    return sqlstate(error) is None and name in {"OperationalError", "InterfaceError", "ConnectionDoesNotExistError"}


def is_transient(error: BaseException) -> bool:
    return sqlstate(error) in TRANSIENT or is_lost(error) or isinstance(error, (ConnectionError, OSError))


def explain(error: BaseException) -> Stop:
    """One line for people: what the server said, and what to do."""
    state = sqlstate(error)
    text = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    reason, advice = ADVICE.get(state or "", ("ConnectionLost" if is_lost(error) else "StatementFailed", ""))
    message = text + (" " + advice if advice else "")
    return Stop(reason, message, transient=is_transient(error), sqlstate=state)


def own_url(url: str) -> Any:
    """The URL for our own synchronous connections; raises Stop where it cannot be used."""
    try:
        parsed = sa.engine.make_url("postgresql" + url[len("postgres") :] if url.startswith("postgres://") else url)
    except Exception:
        raise Stop(
            "UrlInvalid", "The database URL is not one that SQLAlchemy reads: write postgresql://USER:PASSWORD@HOST/DB."
        ) from None
    backend = parsed.get_backend_name()
    if backend != "postgresql":
        raise Stop("UrlInvalid", "The database URL is for %s; only PostgreSQL can be migrated." % backend)
    query = {
        name: value
        for name, value in dict(parsed.query).items()
        if name not in {"prepared_statement_cache_size", "async_fallback"}
    }
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")  # asyncpg's name for it
    return parsed.set(drivername="postgresql+" + _driver(), query=query)


def for_alembic(url: str) -> str:
    """The URL for `sqlalchemy.url`: as given, but for a bare scheme whose default driver the image lacks.

    SQLAlchemy 2.1 takes postgresql:// for psycopg (3), 2.0 and older for psycopg2, and none reads postgres://.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql"):
        return url
    return "postgresql+%s://%s" % (_driver(), rest)


def _driver() -> str:
    for name in ("psycopg2", "psycopg"):
        try:
            __import__(name)
        except ImportError:
            continue
        return name
    raise Stop(
        "DriverMissing", "The image has neither psycopg2 nor psycopg (3), one of which the runner needs for its lock."
    )


class Database:
    """One server, seen through connections of ours, each in autocommit."""

    def __init__(self, url: Any, name: str, report: Report) -> None:
        arguments = {"connect_timeout": CONNECT_SECONDS, "application_name": name[:63]}
        arguments.update(KEEPALIVES)
        self._engine = sa.create_engine(
            url, poolclass=sa.pool.NullPool, connect_args=arguments, isolation_level="AUTOCOMMIT"
        )
        self._report = report

    def connect(self, deadline: float) -> Any:
        """A connection; tries again until the deadline (monotonic seconds) where that may help, else raises Stop."""
        pause = 0.5
        while True:
            try:
                return self._engine.connect()
            except sa.exc.DBAPIError as error:
                stop = explain(error)
                if sqlstate(error) not in TRANSIENT and not is_lost(error):
                    raise stop from None
                if time.monotonic() + pause > deadline:
                    stop.reason = "DatabaseAway"
                    raise stop from None
                self._report.say("No connection yet: %s" % stop)
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
            pause = min(pause * 2, 5)

    def refuse_transaction_pooler(self, connection: Any, deadline: float) -> None:
        """A session lock taken through a transaction pooler is left behind on somebody's connection: refuse first.

        Two statements alone often meet the same backend, so one is pinned by an open transaction meanwhile.
        """
        before = scalar(connection, "SELECT pg_backend_pid()")
        with self.connect(deadline) as other:
            execute(other, "BEGIN")
            try:
                scalar(other, "SELECT pg_backend_pid()")
                during = scalar(connection, "SELECT pg_backend_pid()")
            finally:
                execute(other, "ROLLBACK")
        if before != during:
            raise Stop(
                "PoolerUnsafe",
                "The URL leads through a pooler in transaction mode, where locks leak into other sessions. "
                "Give the server's own address in spec.database.directUrlFrom, or use session mode.",
                outcome="Refused",
            )

    def lock(self, connection: Any, key: int, wait_seconds: float, on_wait: Callable[[str], None]) -> float:
        """Take the lock by polling: a blocking lock would hold up CREATE INDEX CONCURRENTLY for its whole wait.

        Returns the seconds waited; raises Stop after `wait_seconds`.
        """
        started = time.monotonic()
        told = ""
        while not scalar(connection, "SELECT pg_try_advisory_lock(%d)" % key):
            waited = time.monotonic() - started
            holder = self._holder(connection, key)
            if waited > wait_seconds:
                raise Stop(
                    "LockWaitExceeded",
                    "Another migration held the lock for %.0f s: %s." % (waited, holder),
                    transient=True,
                )
            if holder != told:
                on_wait(holder)
                told = holder
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return time.monotonic() - started

    def _holder(self, connection: Any, key: int) -> str:
        rows = execute(
            connection,
            "SELECT a.application_name, a.usename, a.client_addr::text, a.pid"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND ((l.classid::bigint << 32) | l.objid::bigint) = %d" % key,
        ).fetchall()
        return ", ".join("%s (user %s, address %s, pid %s)" % tuple(row) for row in rows) or "an unknown session"


def lock_key(database: str, schema: Optional[str], table: str) -> int:
    """One number for one database and version table, the same for every runner; positive, so that pg_locks shows it."""
    name = json.dumps(["landfall", database, schema or "", table]).encode()
    return (zlib.crc32(name) & 0x7FFFFFFF) << 32 | zlib.crc32(name[::-1])


def execute(connection: Any, statement: str, **parameters: Any) -> Any:
    return connection.execute(sa.text(statement), parameters)


def scalar(connection: Any, statement: str, **parameters: Any) -> Any:
    return execute(connection, statement, **parameters).scalar()


def quoted(schema: Optional[str], name: str) -> str:
    return ".".join('"%s"' % part.replace('"', '""') for part in (schema, name) if part)


def read_claim(connection: Any, schema: Optional[str], table: str) -> Optional[Dict[str, str]]:
    """Who owns the database: a comment on the version table, which only the table's owner can write."""
    comment = scalar(connection, "SELECT obj_description(to_regclass(:name), 'pg_class')", name=quoted(schema, table))
    if not comment or not str(comment).startswith(CLAIM):
        return None
    try:
        return dict(json.loads(str(comment)[len(CLAIM) :]))
    except ValueError:
        return None


def write_claim(connection: Any, schema: Optional[str], table: str, owner: Dict[str, str]) -> None:
    name = quoted(schema, table)
    if scalar(connection, "SELECT to_regclass(:name)", name=name) is None:
        return
    text = (CLAIM + json.dumps(owner, sort_keys=True)).replace("'", "''").replace(":", "\\:")
    execute(connection, "COMMENT ON TABLE %s IS '%s'" % (name, text))


def invalid_indexes(connection: Any) -> List[Tuple[str, str]]:
    """Indexes that an interrupted CONCURRENTLY left behind, as (schema, name); one that is being built is not one."""
    rows = execute(
        connection,
        "SELECT n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND c.relkind = 'i'"
        " AND n.nspname !~ '^pg_'"
        " AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)"
        " ORDER BY 1, 2",
    )
    return [(row[0], row[1]) for row in rows]
