"""A TCP proxy that can hold requests back: a server that is slow when a test wants it to be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024


class Gate(ThreadingTCPServer):
    """Passes everything on to the server at `target`, but holds requests with the given method while it is closed."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.target = (urlsplit(target).hostname, urlsplit(target).port)
        self.method = b""
        self.opened = Event()
        self.opened.set()
        self.holding = Event()
        self.chunks: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, method: str) -> int:
        """How many requests with that method have come."""
        return sum(chunk.startswith(f"{method} /".encode()) for chunk in self.chunks)

    @contextmanager
    def closed(self, method: str = "") -> Iterator[None]:
        """Hold requests, those with any method unless one is given, until the block ends; `holding` says of a first."""
        self.method = method.encode()
        self.opened.clear()
        try:
            yield
        finally:
            self.opened.set()

    def pass_on(self, chunk: bytes) -> None:
        """Return when the chunk may go on."""
        self.chunks.append(chunk)
        if not self.opened.is_set() and chunk.startswith(self.method):
            self.holding.set()
            self.opened.wait()


class _Passage(BaseRequestHandler):
    server: Gate
    request: socket.socket

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as upstream:
            back = Thread(target=_copy, args=(upstream, self.request), daemon=True)
            back.start()
            _copy(self.request, upstream, gate=self.server)
            back.join()


def _copy(source: socket.socket, target: socket.socket, *, gate: Gate | None = None) -> None:
    with suppress(OSError):  # either side may leave at any time
        while chunk := source.recv(CHUNK_BYTES):
            if gate:
                gate.pass_on(chunk)
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def gate_before(target: str) -> Iterator[Gate]:
    with Gate(target) as gate:
        thread = Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gate
        finally:
            gate.shutdown()
            thread.join()
