"""Ways to one store: S3 clients, which are kept, and MinIO's admin API, which is opened for one piece of work."""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from boto3.session import Session
from botocore.config import Config
from botocore.session import Session as BotocoreSession
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from urllib3 import PoolManager, Timeout

from landfall_operator.s3.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
KEPT_CLIENTS = 8  # about 0.4 MiB each
# What boto3 would look up by itself: whoever runs the operator must not lend a Bucket their keys or settings.
NOTHING = (None, None, None, None)
NO_FILE = (None, None, os.devnull, None)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where a store is and who we are there; equal ones share a client."""

    endpoint: str
    region: str = "us-east-1"
    path_style: bool = True
    access_key: str
    secret_key: str = field(repr=False)
    ca_bundle: str | None = field(default=None, repr=False)  # PEM


class Stores:
    """An S3 client for each of the last few connections; for all threads."""

    def __init__(self, *, kept: int = KEPT_CLIENTS, read_seconds: float = READ_SECONDS) -> None:
        self._kept = kept
        self._read_seconds = read_seconds
        self._lock = threading.Lock()  # boto3's session is not for several threads, its clients are
        self._clients: OrderedDict[Connection, S3Client] = OrderedDict()
        self._session: Session | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def client(self, connection: Connection) -> S3Client:
        """Its client; raises `StoreError` where the CA is no certificate. Requests are tried once."""
        with self._lock:
            client = self._clients.pop(connection, None) or self._make(connection)
            self._clients[connection] = client
            if len(self._clients) > self._kept:
                self._clients.popitem(last=False)[1].close()
            return client

    def close(self) -> None:
        with self._lock:
            while self._clients:
                self._clients.popitem()[1].close()
            if self._directory:
                self._directory.cleanup()
                self._directory = None

    def _make(self, connection: Connection) -> S3Client:
        if self._session is None:
            given = {"profile": NOTHING, "config_file": NO_FILE, "credentials_file": NO_FILE}
            self._session = Session(botocore_session=BotocoreSession(session_vars=given))
        client = self._session.client(
            "s3",
            endpoint_url=connection.endpoint,
            region_name=connection.region,
            aws_access_key_id=connection.access_key,
            aws_secret_access_key=connection.secret_key,
            verify=self._ca_file(connection.ca_bundle) if connection.ca_bundle else True,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if connection.path_style else "virtual"},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=self._read_seconds,
                retries={"total_max_attempts": 1},
                tcp_keepalive=True,
                proxies={},
                # The default adds CRC trailers, which many compatible servers do not understand.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        client.meta.events.register("before-call.s3", _stay_in_region)
        return client

    def _ca_file(self, pem: str) -> str:
        """The certificates as a file, since botocore takes nothing else; by content, so that one is enough."""
        tls_context(pem)
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="landfall-ca-")
        path = Path(self._directory.name) / f"{sha256(pem.encode()).hexdigest()}.pem"
        if not path.exists():
            path.write_text(pem)
        return str(path)


def _stay_in_region(params: dict[str, Any], **_: object) -> None:
    """Have a wrong region fail, where botocore would find the right one: applications are told the same region."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


class Seal:
    """One at a time: MinIO's admin API encrypts by a key that takes 64 MiB to derive; but nobody waits for a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._lock:
            self._here.closed = True
            try:
                yield
            finally:
                self._here.closed = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While the thread that closed it waits for an answer."""
        if not getattr(self._here, "closed", False):
            yield
            return
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


SEALED = Seal()


class _Pool(PoolManager):
    def urlopen(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        with SEALED.opened():
            return super().urlopen(method, url, *args, **options)


@contextmanager
def minio_admin(connection: Connection) -> Iterator[MinioAdmin]:
    """MinIO's admin API; one try a request, no connection is left open."""
    address = urlsplit(connection.endpoint)
    context = tls_context(connection.ca_bundle) if address.scheme == "https" else None
    with _Pool(timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False, ssl_context=context) as pool:
        yield MinioAdmin(
            endpoint=address.netloc,
            credentials=StaticProvider(connection.access_key, connection.secret_key),
            region=connection.region,
            secure=address.scheme == "https",
            http_client=pool,
        )


def tls_context(pem: str | None) -> ssl.SSLContext:
    """What checks a server by these certificates, or by the public ones."""
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise StoreError(
            reason="CertificateInvalid",
            message="What spec.store.caBundleRef names is no PEM certificate. "
            "Put the certificate of the CA there, from -----BEGIN CERTIFICATE----- to its END.",
        ) from error
