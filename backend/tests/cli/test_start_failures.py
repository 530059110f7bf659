"""A start that cannot succeed ends in one line: what happened, to what, and what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.server import bind
from app.settings import ListenSettings
from tests.support.cli import Done, environment_for, landfall
from tests.support.tools import free_port


def run(*arguments: str, directory: Path, **variables: str) -> Done:
    return landfall(*arguments, environment=environment_for(directory, **variables), directory=directory)


def test_a_port_that_is_taken_is_named_with_the_variable_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"LISTEN_PORT: cannot listen on 127\.0\.0\.1:{port}: Address already"):
            bind(ListenSettings(port=port))


def test_a_host_that_is_not_this_machines_is_named_with_the_variable_to_change() -> None:
    with pytest.raises(SettingsError, match=r"LISTEN_HOST, .*: cannot listen on 192\.0\.2\.1:8000: Cannot assign"):
        bind(ListenSettings(host="192.0.2.1"))


def test_a_taken_port_is_found_before_the_database_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("serve", "--migrate", directory=tmp_path, LISTEN_PORT=str(other.getsockname()[1]))

    assert done.exit_code == 2
    assert "Set another, or stop what listens there" in done.complaint
    assert not (tmp_path / "landfall.sqlite3").exists()


def test_a_file_that_is_no_database_is_named_with_the_variable_to_change(tmp_path: Path) -> None:
    (tmp_path / "landfall.sqlite3").write_text("not a database " * 100)

    done = run("migrate", directory=tmp_path)

    assert done.exit_code == 1
    assert f"sqlite:///{tmp_path}/landfall.sqlite3: file is not a database. DATABASE_SQLITE_PATH must" in done.complaint


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_directory_that_cannot_be_made_is_named(command: str, tmp_path: Path) -> None:
    done = run(command, directory=tmp_path, DATABASE_SQLITE_PATH="/proc/nowhere/landfall.sqlite3", LISTEN_PORT="0")

    assert done.exit_code == 1
    assert done.complaint.startswith("landfall: /proc/nowhere: ")


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://landfall:a-password@127.0.0.1:{free_port()}/landfall"

    done = run("migrate", directory=tmp_path, DATABASE_URL=url)

    assert done.exit_code == 1
    assert "landfall:***@127.0.0.1:" in done.complaint
    assert "Connection refused. Is DATABASE_URL right, and the server up?" in done.complaint
    assert "a-password" not in done.stdout + done.stderr


def test_a_database_without_its_schema_is_told_how_to_get_it(tmp_path: Path) -> None:
    done = run("users", "create", "a@example.com", "--password", "long enough 1", directory=tmp_path)

    assert done.exit_code == 1
    assert "no such table: users. Run `landfall migrate` first." in done.complaint


def test_a_store_that_is_away_is_named(tmp_path: Path) -> None:
    store = {"BUCKET": "b", "ACCESS_KEY": "k", "SECRET_KEY": "s", "ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    variables = {f"ARTIFACTS_{name}": value for name, value in store.items()}
    assert run("migrate", directory=tmp_path).exit_code == 0

    done = run("seed", directory=tmp_path, **variables)

    assert done.exit_code == 1
    assert done.complaint.startswith("landfall: artifact store: s3 bucket b at http://127.0.0.1:")
