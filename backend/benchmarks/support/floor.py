"""The floor: what PostgreSQL alone takes for the very statements that the service sends for a request."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, make_url, text

from benchmarks.support.dataset import connect
from tests.support.postgres import PostgresServer
from tests.support.runners import ProcessRunner
from tests.support.tools import MissingToolError, run, wait_until

USERS = "users"  # who asks is looked up on a connection of its own
MARK = "@@"  # begins each entry of the log, and no line of a statement
# Of a statement that is kept, the log tells the message that made it as a detail of each message that executes it.
ENTRY = re.compile(rf"^{MARK}(\d+) (LOG:  statement|DETAIL:  prepare): (.*?)(?=^{MARK}|\Z)", re.MULTILINE | re.DOTALL)
MADE = re.compile(r"(PREPARE landfall_\w+ .*?); (?=EXECUTE)", re.DOTALL)


def capture(postgres: PostgresServer, url: str, request: Callable[[], object], *, table: str) -> list[str]:
    """The statements of the connections that ask for `table` and for who asks, as PostgreSQL's log has them."""
    if not isinstance(postgres.runner, ProcessRunner):
        raise MissingToolError("statements are captured from the log of a PostgreSQL that runs as a process of ours")
    log = postgres.runner.log
    statements: list[str] = []

    def captured() -> bool:
        """Whether the log had them: a connection may not have heard yet that it is to log."""
        begin, end = log.stat().st_size, f"SELECT '{uuid.uuid4()}'"
        request()
        connection.execute(text(end))
        wait_until(lambda: end in _since(log, begin), timeout_seconds=10, what="the end of the statements in the log")
        statements[:] = statements_in(_since(log, begin), table=table)
        return bool(statements)

    with connect(url) as connection:
        _configure(
            connection, f"ALTER SYSTEM SET log_line_prefix = '{MARK}%p '", "ALTER SYSTEM SET log_statement = 'all'"
        )
        wait_until(captured, timeout_seconds=30, what=f"statements on {table} in the log")
        _configure(connection, "ALTER SYSTEM RESET log_line_prefix", "ALTER SYSTEM RESET log_statement")
    return statements


def statements_in(log: str, *, table: str) -> list[str]:
    """What was sent to ask for `table`, and who asks; what connections keep prepared comes first, and apart."""
    entries = ENTRY.findall(log.replace("\n\t", "\n"))
    asked = [pid for pid, _, statement in entries if f"FROM {table}" in statement or f"FROM {USERS}" in statement]
    ours = [(kind, statement.strip()) for pid, kind, statement in entries if pid in asked]
    made = {statement for _, message in ours for statement in MADE.findall(message)}
    return [*made, *(MADE.sub("", message) for kind, message in ours if kind.startswith("LOG"))]


def pgbench(url: str, script: Path, *, seconds: float) -> float:
    """Runs of the script a second, on one connection."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = [
        "--no-vacuum",
        "--client=1",
        "--jobs=1",
        "--define=made=0",
        f"--time={max(1, round(seconds))}",
        f"--file={script}",
    ]
    output = run([find_pgbench(), *options, address])
    found = re.search(r"tps = ([\d.]+) \(without initial", output)
    if found is None or "number of failed transactions: 0" not in output:
        raise MissingToolError(f"pgbench: {output}")
    return float(found[1])


def script_of(statements: list[str]) -> str:
    """A script for pgbench, in which what went out together goes out together; what is kept is made once."""
    made = [statement for statement in statements if statement.startswith("PREPARE")]
    rest = [statement.replace(";", r"\;") for statement in statements if statement not in made]
    once = [r"\if :made", r"\else", *(f"{statement};" for statement in made), r"\set made 1", r"\endif"] if made else []
    return "\n".join([*once, *(f"{statement};" for statement in rest), ""])


def find_pgbench() -> Path:
    on_path = shutil.which("pgbench")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if not found:
        raise MissingToolError("pgbench is not installed: `apt-get install postgresql-contrib`")
    return found[-1]


def _configure(connection: Connection, *statements: str) -> None:
    for statement in (*statements, "SELECT pg_reload_conf()"):
        connection.execute(text(statement))


def _since(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(begin)
        return lines.read().decode()
