"""A PostgreSQL with PostGIS for the tests: one that is given, or one of the tests' own.

Tried in this order: `TEST_DATABASE_URL`, the machine's binaries, Docker (`TEST_POSTGIS_IMAGE`), apt-get.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.support.debian import APT, QUIET
from tests.support.runners import ContainerRunner, ProcessRunner, Runner
from tests.support.secrets import DATABASE_PASSWORD
from tests.support.tools import MissingToolError, alone, first_that_starts, free_port, run, wait_until

USER = "landfall"
DEFAULT_IMAGE = "postgis/postgis:15-3.4"
START_SECONDS = 60  # a container's initdb on a busy machine
# The data need not outlive a power cut, but an acknowledged commit must outlive a killed server: synchronous_commit
# stays on.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "100", "shared_buffers": "64MB"}


@dataclass(kw_only=True)
class PostgresServer:
    """One server; `runner` is None for a given one, which cannot be stopped."""

    address: URL
    runner: Runner | None = None

    def start(self) -> Self:
        """Start it and wait until it answers; raises `MissingToolError` with its reason when it does not."""
        try:
            if self.runner:
                self.runner.start()
            wait_until(self._answers, timeout_seconds=START_SECONDS, what="a first connection")
        except (TimeoutError, MissingToolError) as error:
            self.remove()
            raise MissingToolError(str(error)) from None
        return self

    def start_again(self) -> None:
        """Start it after a stop, on the same port with the same data, and wait until it answers."""
        self.start()

    def stop(self, *, immediate: bool = True) -> None:
        """Stop it; immediate: connections are cut and the next start recovers from the log, as after a crash."""
        if self.runner is None:
            raise MissingToolError("a PostgreSQL that may be stopped: TEST_DATABASE_URL names a shared one")
        self.runner.stop(immediate=immediate)

    def remove(self) -> None:
        """Stop it and delete its data; a given one is left as it is."""
        if self.runner:
            self.runner.remove()

    def url(self, database: str) -> str:
        """The URL of one of its databases, password included."""
        return self.address.set(database=database).render_as_string(hide_password=False)

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Make a database, a copy of `template` (to which nothing may be connected), and give its URL."""
        with self._connection() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database with the connections to it."""
        with self._connection() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def _answers(self) -> bool:
        if self.runner:
            self.runner.check_alive()
        try:
            with self._connection() as connection:
                return bool(connection.scalar(text("SELECT true")))
        except OperationalError:
            return False

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        address = self.address.set(drivername="postgresql+psycopg2")
        engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection


def find_postgres(*, stoppable: bool = False, options: Mapping[str, str] = OPTIONS) -> PostgresServer:
    """A started server with PostGIS; raises `MissingToolError`: one line with each way and why it failed.

    With `stoppable` the server is the caller's own, who may kill it: `TEST_DATABASE_URL` is passed over. `options` are
    for a server that is started here.
    """
    ways: list[tuple[str, Callable[[], PostgresServer]]] = [
        ("the machine's binaries", lambda: _private_cluster(_binaries_with_postgis(), options)),
        ("Docker", lambda: _container(options)),
        ("apt-get", lambda: _private_cluster(_installed_binaries(), options)),
    ]
    if not stoppable:
        given = ("TEST_DATABASE_URL", _given)
        ways = [given] if os.environ.get("TEST_DATABASE_URL") else [given, *ways]  # who names a server means it
    return first_that_starts(ways, what="PostgreSQL with PostGIS")


def _given() -> PostgresServer:
    given = os.environ.get("TEST_DATABASE_URL")
    if not given:
        raise MissingToolError("not set")
    return PostgresServer(address=make_url(given)).start()


def _binaries_with_postgis() -> Path:
    """The directory of a PostgreSQL's binaries whose extensions include PostGIS; the newest release first."""
    releases = Path("/usr/lib/postgresql").glob("*/bin")
    found = [*sorted(releases, key=lambda path: int(path.parent.name), reverse=True)]
    if on_path := shutil.which("initdb"):
        found.insert(0, Path(on_path).resolve().parent)
    if shutil.which("pg_config"):
        found.append(Path(run(["pg_config", "--bindir"]).strip()))
    servers = [path for path in dict.fromkeys(found) if (path / "initdb").exists() and (path / "postgres").exists()]
    for path in servers:
        if any((share / "extension/postgis.control").exists() for share in _share_directories(path)):
            return path
    if servers:
        raise MissingToolError(f"no PostGIS for {' and '.join(map(str, servers))}")
    raise MissingToolError("no initdb and postgres on PATH, in /usr/lib/postgresql or where pg_config says")


def _share_directories(binaries: Path) -> list[Path]:
    prefix = binaries.parent
    guesses = [prefix / "share", prefix / "share/postgresql", Path("/usr/share/postgresql") / prefix.name]
    own = binaries / "pg_config"
    return [Path(run([own, "--sharedir"]).strip()), *guesses] if own.exists() else guesses


def _private_cluster(binaries: Path, settings: Mapping[str, str]) -> PostgresServer:
    user = unprivileged_user()
    # The server's user must reach the directory: as root, a TMPDIR of root's own would shut it out.
    directory = Path(tempfile.mkdtemp(prefix="landfall-postgres-", dir="/tmp" if user else None))
    password_file = directory / "password"
    password_file.write_text(DATABASE_PASSWORD)
    if user:
        shutil.chown(directory, user)
        shutil.chown(password_file, user)
    port = free_port()
    data = directory / "data"
    options = [f"--{name}={value}" for name, value in settings.items()]
    runner = ProcessRunner(
        command=[binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", *options],
        directory=directory,
        user=user,
        polite_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        rude_signal=signal.SIGQUIT,
    )
    try:
        access = [f"--username={USER}", f"--pwfile={password_file}", "--auth=password"]
        run([binaries / "initdb", "-D", data, *access, "--locale=C.UTF-8", "--no-sync"], user=user)
    except MissingToolError:
        runner.remove()
        raise
    return PostgresServer(address=_local_address(port), runner=runner).start()


def unprivileged_user() -> str | None:
    """Whom to run the server as: initdb and postgres refuse root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in names), None)
    if user is None:
        raise MissingToolError("initdb refuses root, and there is neither a user postgres nor nobody")
    return user


def _local_address(port: int) -> URL:
    return URL.create("postgresql", USER, DATABASE_PASSWORD, "127.0.0.1", port, "postgres")


def _container(options: Mapping[str, str]) -> PostgresServer:
    port = free_port()
    runner = ContainerRunner(
        image=os.environ.get("TEST_POSTGIS_IMAGE") or DEFAULT_IMAGE,
        name=f"landfall-tests-postgres-{uuid.uuid4().hex[:8]}",
        published_port=port,
        container_port=5432,
        environment={"POSTGRES_USER": USER, "POSTGRES_PASSWORD": DATABASE_PASSWORD, "POSTGRES_DB": "postgres"},
        arguments=[part for name, value in options.items() for part in ("-c", f"{name}={value}")],
    )
    return PostgresServer(address=_local_address(port), runner=runner).start()


def _installed_binaries() -> Path:
    """Install the release's PostgreSQL with PostGIS, without the cluster that Debian makes by default."""
    if not shutil.which("apt-get"):
        raise MissingToolError("not on this machine")
    if os.geteuid() != 0:
        raise MissingToolError("may not be used: not root (`apt-get install postgresql-postgis` would do)")
    no_cluster = Path("/etc/postgresql-common/createcluster.d/landfall-tests.conf")
    with alone("apt"):
        run([*APT, "update"], timeout_seconds=120)
        package = _postgis_package(run(["apt-cache", "search", "--names-only", r"^postgresql-[0-9]+-postgis-[0-9]+$"]))
        no_cluster.parent.mkdir(parents=True, exist_ok=True)
        no_cluster.write_text("create_main_cluster = false\n")
        try:
            run([*APT, "install", "--yes", "--no-install-recommends", package], timeout_seconds=600, environment=QUIET)
        finally:
            no_cluster.unlink()
    return _binaries_with_postgis()


def _postgis_package(listing: str) -> str:
    """Of the packages listed, the one for a PostgreSQL that is here already, else for the newest."""
    lines = re.finditer(r"^(postgresql-(\d+)-postgis-\d+) ", listing, re.MULTILINE)
    offered: dict[int, str] = {int(line[2]): line[1] for line in lines}
    if not offered:
        raise MissingToolError("offers no postgresql-*-postgis-* package")
    present = [version for version in offered if Path(f"/usr/lib/postgresql/{version}/bin/postgres").exists()]
    return offered[max(present or offered)]
