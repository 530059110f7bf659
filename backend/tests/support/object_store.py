"""S3 over HTTP for the tests: moto's server, and one that checks what it is sent.

moto accepts corrupt and short uploads, so tests of checksums take the other, tried in this order: `TEST_S3_URL`,
`minio` on PATH, Docker (`TEST_MINIO_IMAGE`), versitygw built with Go.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer

from tests.support.runners import ContainerRunner, ProcessRunner, Runner
from tests.support.secrets import S3_ACCESS_KEY, S3_SECRET_KEY
from tests.support.tools import MissingToolError, alone, first_that_starts, free_port, run, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
START_SECONDS = 30
# Builds in about a minute on two cores, half of what MinIO takes, and refuses the same corrupt uploads.
CHECKING_SERVER = "github.com/versity/versitygw/cmd/versitygw"
CHECKING_SERVER_VERSION = "v1.8.0"
BUILD_SECONDS = 600


@dataclass(kw_only=True)
class ObjectStore:
    """One S3 server; `runner` is None for a given one, which cannot be stopped."""

    endpoint_url: str
    access_key: str = S3_ACCESS_KEY
    secret_key: str = field(default=S3_SECRET_KEY, repr=False)
    runner: Runner | None = None

    def start(self) -> Self:
        """Start it and wait until it answers; raises `MissingToolError` with its reason when it does not."""
        try:
            if self.runner:
                self.runner.start()
            wait_until(self._answers, timeout_seconds=START_SECONDS, what="a first answer")
        except (TimeoutError, MissingToolError) as error:
            self.remove()
            raise MissingToolError(str(error)) from None
        return self

    def start_again(self) -> None:
        """Start it after a stop, on the same port with the same data, and wait until it answers."""
        self.start()

    def stop(self, *, immediate: bool = True) -> None:
        """Stop it; immediate: in the middle of its requests."""
        if self.runner is None:
            raise MissingToolError("an S3 server that may be stopped: TEST_S3_URL names a shared one")
        self.runner.stop(immediate=immediate)

    def remove(self) -> None:
        """Stop it and delete its data; a given one is left as it is."""
        if self.runner:
            self.runner.remove()

    def client(self) -> S3Client:
        """A client that fails at once where nothing answers; the caller closes it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
            ),
        )

    def make_bucket(self) -> str:
        """Make an empty bucket and give its name."""
        name = f"landfall-{uuid.uuid4().hex[:12]}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def _answers(self) -> bool:
        if self.runner:
            self.runner.check_alive()
        client = self.client()
        try:
            client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


@dataclass(kw_only=True)
class MotoRunner:
    """moto's server in a thread of this process; its objects live as long as the process."""

    port: int
    server: ThreadedMotoServer | None = field(default=None, init=False)

    def start(self) -> None:
        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()

    def stop(self, *, immediate: bool) -> None:  # noqa: ARG002 - a thread has one way to end
        if self.server is None:
            return
        self.server.stop()
        if listener := self.server._server:
            listener.server_close()  # moto leaves its socket open
        self.server = None

    def check_alive(self) -> None: ...

    def remove(self) -> None:
        self.stop(immediate=True)


def start_moto() -> ObjectStore:
    """A started moto server: everything but checksums and signatures."""
    port = free_port()
    return ObjectStore(endpoint_url=f"http://127.0.0.1:{port}", runner=MotoRunner(port=port)).start()


def find_checking_store(*, stoppable: bool = False) -> ObjectStore:
    """A started server that refuses an upload whose signed SHA-256 does not match.

    Raises `MissingToolError`: one line with each way and why it failed. With `stoppable` the server is the caller's
    own, who may kill it: `TEST_S3_URL` is passed over.
    """
    ways: list[tuple[str, Callable[[], ObjectStore]]] = [
        ("minio", _minio),
        ("Docker", _minio_container),
        ("Go", _built_server),
    ]
    if not stoppable:
        given = ("TEST_S3_URL", _given)
        ways = [given] if os.environ.get("TEST_S3_URL") else [given, *ways]  # who names a server means it
    return first_that_starts(ways, what="S3 server that checks checksums")


def _given() -> ObjectStore:
    if not os.environ.get("TEST_S3_URL"):
        raise MissingToolError("not set")
    names = ("TEST_S3_URL", "TEST_S3_ACCESS_KEY", "TEST_S3_SECRET_KEY")
    if missing := [name for name in names if not os.environ.get(name)]:
        raise MissingToolError(f"{' and '.join(missing)} not set")
    url, access_key, secret_key = (os.environ[name] for name in names)
    return ObjectStore(endpoint_url=url, access_key=access_key, secret_key=secret_key).start()


def _minio() -> ObjectStore:
    binary = shutil.which("minio")
    if not binary:
        raise MissingToolError("not on PATH")
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="landfall-minio-"))
    runner = ProcessRunner(
        command=[binary, "server", "--address", f"127.0.0.1:{port}", directory / "data"],
        directory=directory,
        environment={"MINIO_ROOT_USER": S3_ACCESS_KEY, "MINIO_ROOT_PASSWORD": S3_SECRET_KEY, "MINIO_BROWSER": "off"},
    )
    return ObjectStore(endpoint_url=f"http://127.0.0.1:{port}", runner=runner).start()


def _minio_container() -> ObjectStore:
    image = os.environ.get("TEST_MINIO_IMAGE")
    if not image:
        raise MissingToolError("TEST_MINIO_IMAGE not set")
    port = free_port()
    runner = ContainerRunner(
        image=image,
        name=f"landfall-tests-minio-{uuid.uuid4().hex[:8]}",
        published_port=port,
        container_port=9000,
        environment={"MINIO_ROOT_USER": S3_ACCESS_KEY, "MINIO_ROOT_PASSWORD": S3_SECRET_KEY},
        arguments=["server", "/data"],
    )
    return ObjectStore(endpoint_url=f"http://127.0.0.1:{port}", runner=runner).start()


def _built_server() -> ObjectStore:
    binary = _build()
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="landfall-s3-"))
    for name in ("objects", "metadata"):
        (directory / name).mkdir()
    listen: list[str | Path] = [binary, "--port", f"127.0.0.1:{port}", "--region", REGION, "--quiet", "--keep-alive"]
    runner = ProcessRunner(
        command=[*listen, "posix", "--sidecar", directory / "metadata", directory / "objects"],
        directory=directory,
        environment={"ROOT_ACCESS_KEY": S3_ACCESS_KEY, "ROOT_SECRET_KEY": S3_SECRET_KEY},
    )
    return ObjectStore(endpoint_url=f"http://127.0.0.1:{port}", runner=runner).start()


def _build() -> Path:
    """The checking server's binary, built once per machine and version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landfall"
    directory = cache / f"versitygw-{CHECKING_SERVER_VERSION}"
    binary = directory / "versitygw"
    with alone("go"):
        if not binary.exists():
            if not shutil.which("go"):
                raise MissingToolError("not installed (1.25 or newer would build one)")
            run(
                ["go", "install", f"{CHECKING_SERVER}@{CHECKING_SERVER_VERSION}"],
                timeout_seconds=BUILD_SECONDS,
                environment={"GOBIN": str(directory), "CGO_ENABLED": "0"},
            )
    return binary
