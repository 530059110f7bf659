"""`landfall serve` from its first line to its end."""

from __future__ import annotations

import re
import signal
import socket
import time

import httpx
import pytest

from tests.cli.conftest import Run, Start
from tests.support.cli import Running

ON_SQLITE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
STOP_SECONDS = 2


def address_of(running: Running) -> str:
    """Where it listens, by its own words."""
    running.wait_for("http://127.0.0.1:")
    found = re.search(r"http://127\.0\.0\.1:\d+", running.stdout + running.stderr)
    assert found
    return found[0]


def test_it_tells_people_where_to_look_and_how_to_log_in(serve: Start) -> None:
    running = serve("--migrate", "--seed", ENVIRONMENT="development")
    base = address_of(running)
    running.wait_for("Login")
    for page in ("/docs", "/api/v1/health"):
        assert f"{base}{page}" in running.stdout
        assert httpx.get(f"{base}{page}", trust_env=False).status_code == 200
    login = re.search(r"Login +(\S+) with the password (\S+)", running.stdout)
    assert login
    form = {"username": login[1], "password": login[2]}
    assert httpx.post(f"{base}/api/v1/auth/token", data=form, trust_env=False).status_code == 200


@ON_SQLITE
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_in_good_order_though_a_client_keeps_its_connection(
    serve: Start, asked: signal.Signals
) -> None:
    running = serve()
    with httpx.Client(base_url=address_of(running), trust_env=False) as client:
        assert client.get("/healthz").status_code == 200
        running.process.send_signal(asked)
        started = time.monotonic()
        done = running.end()
    assert time.monotonic() - started < STOP_SECONDS
    assert done.exit_code == 0
    assert "Traceback" not in done.stderr


@ON_SQLITE
def test_a_port_that_is_taken_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", LISTEN_PORT=str(port))
    assert done.exit_code != 0
    assert f"127.0.0.1:{port}: Address already in use" in done.complaint
