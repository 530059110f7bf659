"""The connections that the application's env.py opens: named, bounded in their waits, and ended with the runner."""

from __future__ import annotations

import re
from typing import Any, List, Optional

from sqlalchemy import event
from sqlalchemy.engine import Engine

OWN = "landfall_own"  # the execution option of the runner's own connections
DRIVERS = ("psycopg", "sqlalchemy.dialects.postgresql", "pg8000")
# While one of these waits for other transactions, it holds up nobody; a lock_timeout would leave an invalid index.
CONCURRENTLY = re.compile(r"\s*(?:CREATE|DROP|REINDEX|ALTER)\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)
# What a server does not know yet is left out: SET would fail.
SET = (
    "SELECT set_config(s.name, v.value, false) FROM (VALUES %s) AS v (name, value)"
    " JOIN pg_catalog.pg_settings s ON s.name = v.name"
)


class Sessions:
    """Listens to every engine of this process; `name` is the application_name of what connects from now on."""

    def __init__(self, name: str, *, lock_timeout_seconds: float, read_only: bool) -> None:
        self.name = name
        self.statement: Optional[str] = None
        self._engines: List[Any] = []
        self._lock_timeout = "%dms" % int(lock_timeout_seconds * 1000)
        self._settings = {
            "lock_timeout": self._lock_timeout,
            # The server notices within these when the runner is killed, or its node.
            "client_connection_check_interval": "2s",
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }
        if read_only:
            self._settings["default_transaction_read_only"] = "on"
        event.listen(Engine, "connect", self._on_connect)
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        event.listen(Engine, "handle_error", self._on_error)

    def forget(self) -> None:
        """Close what the application keeps in pools: the next look is another session, with the name of that time."""
        for engine in self._engines:
            if engine.dialect.is_async:
                engine.dispose(close=False)  # its connections belong to an event loop that has ended
            else:
                engine.dispose()
        del self._engines[:]

    def _on_connect(self, connection: Any, record: Any) -> None:
        if not type(connection).__module__.startswith(DRIVERS):
            return
        values = dict(self._settings, application_name=self.name)
        # By statements, as a pooler refuses options at start-up; committed, as a rollback would undo them.
        _execute(connection, SET % ", ".join("(%s, %s)" % (_text(name), _text(values[name])) for name in values))
        connection.commit()

    def _before(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any) -> None:
        if connection.engine not in self._engines:
            self._engines.append(connection.engine)
        if _may_wait(connection, statement):
            _execute(connection.connection, "SET lock_timeout = 0")

    def _after(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any) -> None:
        if _may_wait(connection, statement):
            _execute(connection.connection, "SET lock_timeout = '%s'" % self._lock_timeout)

    def _on_error(self, context: Any) -> None:
        self.statement = context.statement or self.statement


def _may_wait(connection: Any, statement: str) -> bool:
    own = connection.get_execution_options().get(OWN)
    return bool(connection.dialect.name == "postgresql" and not own and CONCURRENTLY.match(statement))


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()


def _text(value: str) -> str:
    return "'%s'" % value.replace("'", "''")
