"""A PostgreSQL for the runner's tests: TEST_DATABASE_URL, or one of the machine's binaries for this run alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

USER = "landfall"
PASSWORD = "seeded-password-5Tq8"
START_SECONDS = 30


class MissingServerError(Exception):
    """There is no PostgreSQL to test with; the text says what would do."""


@contextmanager
def server() -> Iterator[sa.URL]:
    """The address of a server whose user may do anything; password included."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield sa.make_url(given)
        return
    binaries = _binaries()
    user = _unprivileged_user()
    directory = Path(tempfile.mkdtemp(prefix="landfall-runner-", dir="/tmp" if user else None))
    try:
        with _started(binaries, directory, user) as port:
            yield sa.URL.create("postgresql", USER, PASSWORD, "127.0.0.1", port, "postgres")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def query(url: sa.URL, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own; the rows, where there are any."""
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        result = connection.exec_driver_sql(statement.replace("%", "%%"))
        return [tuple(row) for row in result] if result.returns_rows else []


@contextmanager
def _started(binaries: Path, directory: Path, user: str | None) -> Iterator[int]:
    password_file = directory / "password"
    password_file.write_text(PASSWORD)
    if user:
        shutil.chown(directory, user)
        shutil.chown(password_file, user)
    data = directory / "data"
    group = pwd.getpwnam(user).pw_gid if user else None
    access = [f"--username={USER}", f"--pwfile={password_file}", "--auth=password"]
    subprocess.run(
        [binaries / "initdb", "-D", data, *access, "--locale=C.UTF-8", "--no-sync"],
        user=user,
        group=group,
        cwd="/",
        check=True,
        capture_output=True,
    )
    port = _free_port()
    options = ["-h", "127.0.0.1", "-k", "", "-p", str(port), "--fsync=off", "--full_page_writes=off"]
    with subprocess.Popen(
        [binaries / "postgres", "-D", data, *options],
        user=user,
        group=group,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.send_signal(signal.SIGQUIT)


def _binaries() -> Path:
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)]
    if on_path := shutil.which("initdb"):
        found.insert(0, Path(on_path).resolve().parent)
    for path in found:
        if (path / "initdb").exists() and (path / "postgres").exists():
            return path
    raise MissingServerError("no PostgreSQL: set TEST_DATABASE_URL, or install the server (apt-get install postgresql)")


def _unprivileged_user() -> str | None:
    """Whom to run the server as: initdb and postgres refuse root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int) -> None:
    url = sa.URL.create("postgresql", USER, PASSWORD, "127.0.0.1", port, "postgres")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            query(url, "SELECT 1")
        except sa.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
