"""A reverse proxy that adds the token, for clients that cannot send one, and keeps what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.support.service import Service

TIMEOUT_SECONDS = 30
OF_ONE_HOP = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


class TokenProxy(ThreadingHTTPServer):
    """Readers' requests only; the service must trust 127.0.0.1 as a proxy, or its links lead past this one."""

    daemon_threads = True

    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service_port = service.port
        self.authorization = service.authorization
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def queries(self, path: str) -> list[Mapping[str, list[str]]]:
        """What was asked of a path, in order."""
        return [parse_qs(parts.query) for parts in map(urlsplit, self.asked) if parts.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_SECONDS
    server: TokenProxy

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        ours = {"X-Forwarded-Host": self.server.host, "X-Forwarded-For": "127.0.0.1", **self.server.authorization}
        theirs = {name: value for name, value in self.headers.items() if name.lower() not in OF_ONE_HOP}
        connection = HTTPConnection("127.0.0.1", self.server.service_port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", self.path, headers=theirs | ours)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: `asked` is the log."""


@contextmanager
def proxying(service: Service) -> Iterator[TokenProxy]:
    """The proxy, running for the block."""
    with TokenProxy(service) as proxy:
        thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
