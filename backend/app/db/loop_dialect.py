"""psycopg2's asynchronous mode as a dialect of SQLAlchemy: the event loop waits for the server, and no thread does.

The driver is the one that everything else has, with its types and its errors. A connection in this mode has no
transactions but those that PostgreSQL makes of each message, and no COPY: it is for reads.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import psycopg2
from psycopg2 import extensions
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_, memoized_property
from sqlalchemy.util.queue import AsyncAdaptedQueue

from app.db.pool import LingeringPool


class _UnboundedQueue(AsyncAdaptedQueue[Any]):
    """As the pool's own, reports the pool's size and takes the overflow too."""

    @memoized_property
    def _queue(self) -> asyncio.Queue[Any]:
        return asyncio.Queue()


class LoopPool(LingeringPool):
    """Whose waiting is the event loop's."""

    _is_asyncio = True
    _queue_class = _UnboundedQueue
    _dialect = AsyncAdaptedQueuePool._dialect  # noqa: SLF001 - how SQLAlchemy's own pool is made one for a loop


class LoopCursor(extensions.cursor):  # type: ignore[misc]  # psycopg2 has no types
    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
        """Run in a greenlet of SQLAlchemy's, which sleeps until the server has answered."""
        super().execute(query, vars)
        try:
            await_(_at_rest(self.connection))
        except psycopg2.Error as error:
            if error.pgcode is None:  # not the server's word: the connection is lost
                self.connection.close()
            raise
        except BaseException:  # given up: what it was asked is still under way
            self.connection.close()
            raise


class LoopConnection(extensions.connection):  # type: ignore[misc]
    """psycopg2 refuses these in its asynchronous mode, and there is nothing to be done."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: set[str] = set()  # for `app.db.prepared`

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def set_isolation_level(self, level: int | None) -> None: ...


class LoopDialect(PGDialect_psycopg2):
    driver = "psycopg2loop"
    is_async = True
    supports_statement_cache = True

    def connect(self, *arguments: Any, **options: Any) -> DBAPIConnection:
        return cast("DBAPIConnection", await_(_connect(*arguments, **options)))


async def _connect(*arguments: Any, connect_timeout: float, **options: Any) -> LoopConnection:
    make = partial(
        psycopg2.connect,
        *arguments,
        **options,
        connection_factory=LoopConnection,
        cursor_factory=LoopCursor,
        async_=1,
    )
    try:
        async with asyncio.timeout(connect_timeout):
            # In a thread, since libpq asks for the host's address before it returns.
            connection = cast("LoopConnection", await asyncio.to_thread(make))
            await _at_rest(connection)
            return connection
    except TimeoutError:
        raise psycopg2.OperationalError("timeout expired") from None


async def _at_rest(connection: Any) -> None:
    loop = asyncio.get_running_loop()
    while (state := connection.poll()) != extensions.POLL_OK:
        ready, descriptor = loop.create_future(), connection.fileno()  # another one at each turn while it connects
        to_read = state == extensions.POLL_READ
        add, remove = (loop.add_reader, loop.remove_reader) if to_read else (loop.add_writer, loop.remove_writer)
        add(descriptor, _wake, ready)
        try:
            await ready
        finally:
            remove(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
