"""The runner's own connections: where from, to what, and whether they hold what a session promises."""

from __future__ import annotations

import random
import time
from typing import Any, Optional

import sqlalchemy as sa

from .errors import explain
from .report import Report, Stop
from .sessions import OWN

CONNECT_SECONDS = 5
LIVENESS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25000,
}
LIBPQ_OPTIONS = (
    *("host", "port", "user", "password", "passfile", "options", "service", "target_session_attrs"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"),
    *("channel_binding", "gssencmode", "krbsrvname", "require_auth"),
)
SYNCHRONOUS = ("psycopg2", "psycopg")
OLDEST_SERVER = 12
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0


class Database:
    """Opens connections for the runner's own use, each statement of which commits by itself."""

    def __init__(self, url: Any, name: str, report: Report) -> None:
        arguments = dict(LIVENESS, connect_timeout=CONNECT_SECONDS, application_name=name)
        self._engine = sa.create_engine(
            url,
            poolclass=sa.pool.NullPool,
            connect_args=arguments,
            isolation_level="AUTOCOMMIT",
            execution_options={OWN: True},
        )
        self._report = report

    def connect(self, deadline: float) -> Any:
        """A connection; tries again until the deadline (monotonic seconds) where that may help, else raises Stop."""
        pause = FIRST_PAUSE_SECONDS
        started = time.monotonic()
        while True:
            try:
                return self._engine.connect()
            except Exception as error:
                stop = explain(error)
                if stop is None:
                    raise
                stop.again = False
                if not stop.transient:
                    raise stop from None
                if time.monotonic() + pause > deadline:
                    stop.args = ("No connection for %.0f s: %s" % (time.monotonic() - started, stop),)
                    raise stop from None
                self._report.progress("waiting for the database: %s" % stop)
            time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

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


def server_version(connection: Any) -> str:
    """The server's version; raises Stop for one that is too old."""
    number = int(scalar(connection, "SHOW server_version_num"))
    version = str(scalar(connection, "SHOW server_version"))
    if number < OLDEST_SERVER * 10000:
        raise Stop(
            "ServerTooOld",
            "The server is PostgreSQL %s, and %d is the oldest that can be migrated safely. Upgrade it."
            % (version, OLDEST_SERVER),
            outcome="Refused",
        )
    return version


def has_objects(connection: Any, schema: str, table: str) -> bool:
    """Whether somebody made tables or views, apart from the version table and from what extensions bring."""
    return bool(
        scalar(
            connection,
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)'"
            " AND (n.nspname, c.relname) <> (CAST(:schema AS name), CAST(:table AS name))"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))",
            schema=schema,
            table=table,
        )
    )


def execute(connection: Any, statement: str, **parameters: Any) -> Any:
    return connection.execute(sa.text(statement), parameters)


def scalar(connection: Any, statement: str, **parameters: Any) -> Any:
    return execute(connection, statement, **parameters).scalar()


def quoted(schema: Optional[str], name: str) -> str:
    return ".".join('"%s"' % part.replace('"', '""') for part in (schema, name) if part)


def own_url(url: str) -> Any:
    """The URL for our own synchronous connections; raises Stop where it cannot be used."""
    try:
        parsed = sa.engine.make_url("postgresql" + url[len("postgres") :] if url.startswith("postgres://") else url)
        backend = parsed.get_backend_name()
    except Exception:
        raise Stop(
            "UrlInvalid",
            "The database URL is not one that SQLAlchemy reads: write postgresql://USER:PASSWORD@HOST/DATABASE, "
            "with special characters of the password escaped (@ is %40).",
        ) from None
    if backend != "postgresql":
        raise Stop("UrlInvalid", "The database URL is for %s; only PostgreSQL can be migrated." % backend)
    query = dict(parsed.query)
    if "ssl" in query:
        ssl = str(query.pop("ssl"))  # asyncpg's name for it
        query.setdefault("sslmode", {"true": "require", "false": "disable"}.get(ssl.lower(), ssl))
    asked = parsed.drivername.partition("+")[2]
    if asked not in ("", *SYNCHRONOUS):
        query = {name: value for name, value in query.items() if name in LIBPQ_OPTIONS}
    return parsed.set(drivername="postgresql+" + _driver(asked), query=query)


def for_alembic(url: str) -> str:
    """The URL for `sqlalchemy.url`: as given, but for a bare scheme whose default driver the image lacks.

    SQLAlchemy 2.1 takes postgresql:// for psycopg (3), 2.0 and older for psycopg2, and none reads postgres://.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql"):
        return url
    return "postgresql+%s://%s" % (_driver(), rest)


def _driver(asked: str = "") -> str:
    for name in sorted(SYNCHRONOUS, key=lambda name: name != asked):
        try:
            __import__(name)
        except ImportError:
            continue
        return name
    raise Stop(
        "DriverMissing", "The image has neither psycopg2 nor psycopg, one of which is needed beside an async driver."
    )
