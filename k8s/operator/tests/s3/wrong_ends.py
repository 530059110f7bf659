"""Servers that are no S3 server, or one that has one answer only."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HELLO = b"\x16"  # the first byte of whoever speaks TLS


@contextmanager
def answering(
    body: str = "",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    plain_too: bool = False,
) -> Iterator[int]:
    """The port of a server with one answer.

    By TLS where there is a context for it; `plain_too`: to a client without TLS it answers as well, as Go's servers do.
    """
    with _Server(("127.0.0.1", 0), _handler(body.encode(), status, headers or {})) as server:
        server.tls, server.plain_too = tls, plain_too
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    tls: ssl.SSLContext | None = None
    plain_too = False

    def get_request(self) -> tuple[socket.socket, Any]:
        client, address = super().get_request()
        if self.tls and not (self.plain_too and client.recv(1, socket.MSG_PEEK) != HELLO):
            client = self.tls.wrap_socket(client, server_side=True)
        return client, address

    def handle_error(self, *_: object) -> None:
        """A client that does not speak TLS is what is tested."""


def _handler(body: bytes, status: int, headers: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response_only(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - BaseHTTPRequestHandler's names

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def hanging() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One that signs itself, so that its PEM is also the CA's."""

    pem: str
    server: ssl.SSLContext


def certificate(directory: Path, name: str = "localhost", *, days: int = 1) -> Certificate:
    """A certificate for a host name, made in a directory."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the store's own CA")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / f"{name}.pem"
    path.write_text(signed + private.decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(pem=signed, server=context)


def s3_error(code: str, message: str = "", more: str = "") -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
