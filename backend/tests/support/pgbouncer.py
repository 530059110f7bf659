"""PgBouncer in transaction mode before a PostgreSQL, as managed services offer it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.support import debian
from tests.support.postgres import unprivileged_user
from tests.support.runners import ProcessRunner
from tests.support.tools import free_port, wait_until

START_SECONDS = 10
# One server connection: whoever sees another client's session state here would see it anywhere.
CONFIGURATION = """
[databases]
* = host={host} port={port} pool_size=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = plain
auth_file = {directory}/users
pool_mode = transaction
"""


@dataclass(kw_only=True)
class PgBouncer:
    address: URL
    runner: ProcessRunner

    def answers(self) -> bool:
        self.runner.check_alive()
        try:
            with create_engine(self.address, poolclass=NullPool).connect() as connection:
                return bool(connection.scalar(text("SELECT true")))
        except OperationalError:
            return False


@contextmanager
def pgbouncer(database_url: str) -> Iterator[str]:
    """The URL of the same database through a PgBouncer; raises `MissingToolError` where there is none."""
    binary = find_binary()
    target = make_url(database_url)
    user = unprivileged_user()
    directory = Path(tempfile.mkdtemp(prefix="landfall-pgbouncer-", dir="/tmp" if user else None))
    port = free_port()
    (directory / "users").write_text(f'"{target.username}" "{target.password}"\n')
    configuration = CONFIGURATION.format(
        host=target.host, port=target.port or 5432, listen_port=port, directory=directory
    )
    (directory / "pgbouncer.ini").write_text(configuration)
    if user:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, user)
    runner = ProcessRunner(command=[binary, directory / "pgbouncer.ini"], directory=directory, user=user)
    url = target.set(host="127.0.0.1", port=port)
    try:
        runner.start()
        bouncer = PgBouncer(address=url.set(drivername="postgresql+psycopg2"), runner=runner)
        wait_until(bouncer.answers, timeout_seconds=START_SECONDS, what="a first answer of PgBouncer")
        yield url.render_as_string(hide_password=False)
    finally:
        runner.remove()


def find_binary() -> str:
    if found := shutil.which("pgbouncer"):
        return found
    debian.install("pgbouncer")
    return shutil.which("pgbouncer") or "pgbouncer"
