"""A server of each kind for the run; each test has a bucket of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

import pytest
from moto.server import ThreadedMotoServer
from s3.servers import MissingServerError, connection, free_port, minio, versitygw

from landfall_operator.s3.connection import Connection, Stores

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def _started(server: Callable[[], AbstractContextManager[str]]) -> Iterator[Connection]:
    with ExitStack() as stack:
        try:
            endpoint = stack.enter_context(server())
        except MissingServerError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))
        yield connection(endpoint)


@pytest.fixture(scope="session")
def gateway() -> Iterator[Connection]:
    """versitygw: checks keys and regions; no lifecycle, versioning, accounts or quotas."""
    yield from _started(versitygw)


@pytest.fixture(scope="session")
def minio_server() -> Iterator[Connection]:
    """MinIO: all but CORS."""
    yield from _started(minio)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Connection]:
    """moto: AWS's own features, and checks nothing."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield connection(f"http://127.0.0.1:{port}")
    server.stop()
    if listener := server._server:
        listener.server_close()  # moto leaves its socket open


@pytest.fixture
def stores() -> Iterator[Stores]:
    stores = Stores()
    yield stores
    stores.close()


@pytest.fixture
def make_bucket(stores: Stores) -> Callable[[Connection], tuple[S3Client, str]]:
    def make(store: Connection) -> tuple[S3Client, str]:
        client, name = stores.client(store), f"bucket-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=name)
        return client, name

    return make
