"""HTTP/1.1 on the wire: uvicorn's protocol, with the limits of a request's head that it does not have."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024  # the parser keeps all of it in memory; proxies allow 8 to 32 KiB
HEAD_TIMEOUT_SECONDS = 10  # a head is a packet or two; each connection that is waited for costs a file descriptor


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection, without an answer, whose request line and headers are too large or too long in coming.

    Both limits begin anew with each request of a connection. Between requests uvicorn's keep-alive timeout rules.
    """

    _in_head = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        room = MAX_HEAD_BYTES - self._head_bytes
        if not self._in_head or len(data) <= room:
            self._feed(data)
            return
        self._feed(data[:room])
        if self._head_bytes >= MAX_HEAD_BYTES:
            self.transport.close()
        elif not self.transport.is_closing():
            self.data_received(data[room:])

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes and self._head_timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._expire)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _expire(self) -> None:
        # With answers under way uvicorn may have stopped reading: the client is not to blame.
        is_answered = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        if self.pipeline or not is_answered:
            self._start_timer()
        elif not self.transport.is_closing():
            self.transport.close()
