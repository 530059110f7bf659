"""`landfall serve` against clients that send too much, too slowly or nothing at all, on raw sockets."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest

from app.protocol import HEAD_TIMEOUT_SECONDS, MAX_HEAD_BYTES
from tests.cli.conftest import Start
from tests.cli.test_serve import ON_SQLITE, address_of

pytestmark = ON_SQLITE

GET = b"GET /healthz HTTP/1.1\r\nHost: landfall\r\n"
STALLED = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: landfall\r\nContent-Length: 1000\r\n\r\nx"


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(base: str, sockets: ExitStack, *, timeout_seconds: float = 10) -> socket.socket:
    parts = urlsplit(base)
    return sockets.enter_context(socket.create_connection((parts.hostname, parts.port), timeout_seconds))


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes; a reset is an end too."""
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def read_answer(connection: socket.socket) -> bytes:
    """One answer's status line; all of the answer is read."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(length - len(body))
    assert len(body) == length
    return head.split(b"\r\n")[0]


def test_stalled_bodies_keep_nobody_else_waiting(serve: Start, sockets: ExitStack) -> None:
    base = address_of(serve(LISTEN_BODY_TIMEOUT_SECONDS="2"))
    stalled = [connect(base, sockets) for _ in range(40)]
    for connection in stalled:
        connection.sendall(STALLED)
    for _ in range(5):
        started = time.monotonic()
        assert httpx.get(f"{base}/api/v1/health", trust_env=False).status_code == 200
        assert time.monotonic() - started < 1
    answers = [read_to_end(connection) for connection in stalled]
    assert all(answer.startswith(b"HTTP/1.1 503 ") and b"problems/timeout" in answer for answer in answers)


def test_endless_headers_are_cut_off_unanswered(serve: Start, sockets: ExitStack) -> None:
    connection = connect(address_of(serve()), sockets)
    taken = 0
    with suppress(ConnectionError):
        connection.sendall(GET + b"X-Long: ")
        while taken < 115_000_000:
            taken += connection.send(b"x" * 65536)
    assert taken < 16_000_000  # what the system's buffers take before the close is seen
    assert read_to_end(connection) == b""


@pytest.mark.parametrize("start", [b"", GET + b"\r\n"])
def test_a_head_may_be_just_so_large(serve: Start, sockets: ExitStack, start: bytes) -> None:
    base = address_of(serve())
    end = b"\r\nConnection: close\r\n\r\n"
    fitting, large = (GET + b"X-Long: " + b"x" * size for size in (MAX_HEAD_BYTES - 200, MAX_HEAD_BYTES))
    answered = []
    for head in (fitting, large):
        connection = connect(base, sockets)
        if start:
            connection.sendall(start)
            read_answer(connection)
        connection.sendall(head + end)
        answered.append(read_to_end(connection)[:13])
    assert answered == [b"HTTP/1.1 200 ", b""]


def test_heads_that_do_not_end_are_given_up(serve: Start, sockets: ExitStack) -> None:
    base = address_of(serve())
    started = time.monotonic()
    silent, partial, second, blank = (
        connect(base, sockets, timeout_seconds=HEAD_TIMEOUT_SECONDS + 5) for _ in range(4)
    )
    partial.sendall(GET)
    second.sendall(GET + b"\r\n")
    read_answer(second)
    second.sendall(GET)
    blank.sendall(b"\r\n")
    for connection in (silent, partial, second, blank):
        assert read_to_end(connection) == b""
    assert HEAD_TIMEOUT_SECONDS - 1 < time.monotonic() - started < HEAD_TIMEOUT_SECONDS + 3


def test_a_connection_lives_on_past_many_heads(serve: Start, sockets: ExitStack) -> None:
    connection = connect(address_of(serve()), sockets)
    request = GET + b"X-Long: " + b"x" * 30_000 + b"\r\n\r\n"
    for _ in range(10):
        connection.sendall(request)
        assert read_answer(connection) == b"HTTP/1.1 200 OK"


def test_a_body_larger_than_a_head_may_be_is_read_between_heads(serve: Start, sockets: ExitStack) -> None:
    connection = connect(address_of(serve()), sockets)
    body = b"x" * 300_000
    head = b"POST /api/v1/auth/token HTTP/1.1\r\nHost: landfall\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(3):
        connection.sendall(head + body)
        assert read_answer(connection).startswith(b"HTTP/1.1 4")
