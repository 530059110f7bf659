"""A connection pool whose overflow outlasts a single request."""

from __future__ import annotations

from math import inf
from time import monotonic

from sqlalchemy import QueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.queue import Queue, QueueCommon

_RETURNED = "landfall.returned"  # key in a connection's info: when it came back, on the monotonic clock


class _UnboundedQueue(Queue[ConnectionPoolEntry]):
    """Reports the pool's size as its own, and takes the overflow too."""

    def _full(self) -> bool:
        return False


class LingeringPool(QueuePool):
    """A `QueuePool` that closes overflow connections when they have not been needed for some seconds.

    `QueuePool` closes them at their return. While more requests than its size are at work that is a new connection,
    with a server process and a login, for nearly each of them: measured at 15 at work, half of the throughput.
    """

    linger_seconds = 10.0  # longer than the gaps in a busy minute
    # A connection that did its work so lately is taken for alive, and is not asked: another round trip a request.
    trusted_seconds = 1.0
    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = _UnboundedQueue
    _needed_at = 0.0

    def _do_get(self) -> ConnectionPoolEntry:
        record = super()._do_get()
        if monotonic() - record.info.get(_RETURNED, -inf) < self.trusted_seconds:
            record.fresh = True  # type: ignore[attr-defined] # as new ones are to the pool, which pings all others
        return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        now = monotonic()
        record.info[_RETURNED] = now
        if self.checkedout() > self.size():
            self._needed_at = now
        if self.overflow() > 0 and now - self._needed_at > self.linger_seconds:
            try:
                record.close()
            finally:
                self._dec_overflow()
        else:
            self._pool.put(record, block=False)
