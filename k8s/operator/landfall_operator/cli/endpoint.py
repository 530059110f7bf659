"""The way from this machine to a store that mostly only pods reach: through the API server, as kubectl does it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urlsplit

from landfall_operator.cli.cluster import Cluster, RefusalError

PORTS = {"http": 80, "https": 443}
LOCAL = "127.0.0.1"
POD_WAIT = "10s"  # kubectl waits a minute for a Service without a running pod
END_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where the store is spoken to; `host` is the one of its certificate, where the address has another."""

    endpoint: str
    host: str | None = None


@contextmanager
def route(cluster: Cluster, endpoint: str, *, override: str | None) -> Iterator[Route]:
    """The way to an endpoint while the context lasts; raises `RefusalError` where kubectl finds none."""
    service = None if override else _service(cluster, endpoint)
    if service is None:
        yield Route(endpoint=override or endpoint)
        return
    address = urlsplit(endpoint)
    with _forwarded(cluster, *service, port=address.port or PORTS[address.scheme]) as port:
        yield Route(endpoint=f"{address.scheme}://{LOCAL}:{port}", host=address.hostname)


def check_certificate_against(client: Any, host: str) -> None:
    """Botocore has no option for a certificate's name that is not the address's; its connection pools have."""
    pools = client._endpoint.http_session._manager  # noqa: SLF001 - as above
    pools.connection_pool_kw["server_hostname"] = host


def service_named(host: str, *, namespace: str) -> tuple[str, str] | None:
    """The Service and its namespace that a host of these forms would be: minio, minio.shop, minio.shop.svc[.…]."""
    parts = host.split(".")
    if _is_address(host) or host == "localhost":
        return None
    if len(parts) == 1:
        return host, namespace
    return (parts[0], parts[1]) if parts[2:3] in ([], ["svc"]) else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _service(cluster: Cluster, endpoint: str) -> tuple[str, str] | None:
    found = service_named(urlsplit(endpoint).hostname or "", namespace=cluster.namespace)
    return found if found and cluster.has_service(found[0], namespace=found[1]) else None


@contextmanager
def _forwarded(cluster: Cluster, service: str, namespace: str, *, port: int) -> Iterator[int]:
    """A port of this machine's own that ends at a Service's."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise RefusalError(
            "kubectl is not on PATH, and the store is inside the cluster. Install it, or give --endpoint."
        )
    command = [kubectl, *(["--context", cluster.context] if cluster.context else []), "-n", namespace, "port-forward"]
    command += ["--address", LOCAL, "--pod-running-timeout", POD_WAIT, f"service/{service}", f":{port}"]
    with _running(command) as (process, complaints):
        local = _local_port(process, complaints, f"service/{service} in the namespace {namespace}")
        try:
            yield local
        except RefusalError as error:
            if process.poll() is None:
                raise
            # Then the store was not asked, or its answer was lost.
            raise RefusalError(f"{error} kubectl port-forward broke off: {_said(complaints)}.") from None


@contextmanager
def _running(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that does not outlive us, and what it complains of."""
    # A file takes complaints of any length, where a pipe that nobody reads would stop it.
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        before = signal.signal(signal.SIGTERM, _end)
        try:
            yield process, complaints
        finally:
            signal.signal(signal.SIGTERM, before)
            process.terminate()
            try:
                process.communicate(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _end(number: int, _frame: object) -> None:
    """Whoever ends us by a signal ends kubectl with us: by default nothing after it is done."""
    sys.exit(128 + number)


def _local_port(process: subprocess.Popen[str], complaints: IO[str], what: str) -> int:
    line = process.stdout.readline() if process.stdout else ""
    found = re.search(rf"Forwarding from {re.escape(LOCAL)}:(\d+)", line)
    if found:
        return int(found[1])
    process.wait(timeout=END_SECONDS)
    raise RefusalError(
        f"kubectl port-forward cannot reach {what}: {_said(complaints)}. "
        "Mend that, or give an address that this machine reaches by --endpoint."
    )


def _said(complaints: IO[str]) -> str:
    """Kubectl's last words."""
    complaints.seek(0)
    lines = complaints.read().split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "it gives no reason")
    return said.removeprefix("error: ").rstrip(".")
