"""S3 servers for the tests: versitygw and MinIO as processes of their own, and ends that are wrong in one way each.

A binary on PATH, or one that Go builds once a machine; for MinIO also the image that LANDFALL_TEST_MINIO_IMAGE names.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from landfall_operator.s3.connection import Connection

ACCESS_KEY = "landfall-tests"
SECRET_KEY = "seeded-secret-Vq7wK2"
REGION = "us-east-1"
START_SECONDS = 30
BUILD_SECONDS = 900
VERSITYGW = ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
MINIO = ("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c")


class MissingServerError(Exception):
    """There is none to test with; the text says what would do."""


def connection(endpoint: str, **changes: str) -> Connection:
    return Connection(**{"endpoint": endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **changes})  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def versitygw() -> Iterator[str]:
    """The address of an S3 server without lifecycle, versioning, accounts and quotas."""
    binary = _binary(*VERSITYGW)
    with tempfile.TemporaryDirectory(prefix="landfall-versitygw-") as directory:
        for name in ("objects", "metadata"):
            Path(directory, name).mkdir()
        port = free_port()
        listen = [binary, "--port", f"127.0.0.1:{port}", "--region", REGION, "--quiet", "--keep-alive"]
        store = ["posix", "--sidecar", f"{directory}/metadata", f"{directory}/objects"]
        keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        with _process([*listen, *store], keys, port) as endpoint:
            yield endpoint


@contextmanager
def minio() -> Iterator[str]:
    """The address of an S3 server without CORS."""
    port = free_port()
    keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    if image := os.environ.get("LANDFALL_TEST_MINIO_IMAGE"):
        with _container(image, ["server", "/data", "--address", f"127.0.0.1:{port}"], keys, port) as endpoint:
            yield endpoint
        return
    binary = _binary(*MINIO)
    with (
        tempfile.TemporaryDirectory(prefix="landfall-minio-") as directory,
        _process([binary, "server", "--address", f"127.0.0.1:{port}", directory], keys, port) as endpoint,
    ):
        yield endpoint


def _binary(package: str, version: str) -> str:
    """On PATH, or built once for this version."""
    name = package.rsplit("/", 1)[1]
    if found := shutil.which(name):
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landfall" / f"{name}-{version}"
    with Path(tempfile.gettempdir(), f"landfall-tests-{os.getuid()}-go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel runs do not build the same twice
        if not (cache / name).exists():
            _build(f"{package}@{version}", cache)
    return str(cache / name)


def _build(package: str, target: Path) -> None:
    if not shutil.which("go"):
        raise MissingServerError(f"no {package}: neither a binary on PATH nor Go to build it")
    try:
        subprocess.run(
            ["go", "install", package],
            env={**os.environ, "GOBIN": str(target), "CGO_ENABLED": "0"},
            cwd="/",
            timeout=BUILD_SECONDS,
            check=True,
            capture_output=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise MissingServerError(f"no {package}: go install failed: {error}") from None


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], port: int) -> Iterator[str]:
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(port, lambda: process.poll() is None)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def _container(image: str, arguments: Sequence[str], environment: Mapping[str, str], port: int) -> Iterator[str]:
    name = f"landfall-tests-{uuid.uuid4().hex[:8]}"
    variables = [part for key in environment for part in ("--env", key)]  # the values by environment, not by ps
    command = ["docker", "run", "--detach", "--rm", "--network", "host", "--name", name, *variables, image, *arguments]
    try:
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingServerError(f"no MinIO: docker cannot run {image}: {error}") from None
    try:
        _wait(port, lambda: True)
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=False, capture_output=True)


def _wait(port: int, is_alive: Callable[[], bool]) -> None:
    """Until it answers, whatever it says."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and is_alive():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise MissingServerError(f"the server did not start on port {port}")
