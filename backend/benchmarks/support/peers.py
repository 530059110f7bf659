"""The peers: pinned, each in an environment of its own that is made once, each served by one worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml
from sqlalchemy import make_url

from benchmarks.support.dataset import Extent
from tests.support.tools import MissingToolError, free_port, run, wait_until

PINS = {
    "tipg": ("tipg==1.6.1", "uvicorn[standard]==0.54.0"),
    "pygeoapi": ("pygeoapi==0.24.0", "gunicorn==27.0.1", "psycopg2-binary==2.9.13", "geoalchemy2==0.20.0"),
}
ENVIRONMENTS = Path(__file__).parents[3] / ".bench"
PYTHONS = ("3.13", "3.12")  # what pygeoapi needs, the newest first
START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(kw_only=True)
class Peer:
    """A running peer."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_tipg(url: str, directory: Path) -> Peer:
    environment = {
        "DATABASE_URL": make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        "TIPG_DB_TABLES": '["public.sites"]',
    }
    command = ["uvicorn", "tipg.main:app", "--workers", "1", "--port", "{port}"]
    return _start("tipg", command, environment, directory, ready="/collections/public.sites")


def start_pygeoapi(url: str, directory: Path, *, extent: Extent) -> Peer:
    port = free_port()
    config, openapi = directory / "pygeoapi.yaml", directory / "pygeoapi-openapi.yaml"
    config.write_text(yaml.safe_dump(pygeoapi_config(url, port=port, extent=extent)))
    environment = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
    binaries = environment_of("pygeoapi")
    run(
        [binaries / "pygeoapi", "openapi", "generate", str(config), "--output-file", str(openapi)],
        environment=environment,
    )
    # Threads, since gunicorn's plain worker closes each connection after one answer.
    command = ["gunicorn", "--workers", "1", "--threads", "8", "--worker-class", "gthread", "--bind"]
    command += ["127.0.0.1:{port}", "pygeoapi.flask_app:APP"]
    return _start("pygeoapi", command, environment, directory, ready="/collections/sites", port=port)


def pygeoapi_config(url: str, *, port: int, extent: Extent) -> dict[str, object]:
    address = make_url(url)
    words = {"title": "Sites", "description": "Sites", "keywords": ["sites"]}
    data = {"host": address.host, "port": address.port, "dbname": address.database, "user": address.username}
    provider = {
        "type": "feature",
        "name": "PostgreSQL",
        "data": {**data, "password": address.password, "search_path": ["public"]},
        "id_field": "id",
        "table": "sites",
        "geom_field": "geom",
        "crs": ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"],
        "storage_crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    }
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en-US"],
            "limits": {"default_items": 100, "max_items": 10000, "on_exceed": "throttle"},
            "map": {"url": "https://tile.example/{z}/{x}/{y}.png", "attribution": "none"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {**words, "terms_of_service": "none", "url": "https://example.com"},
            "license": {"name": "none", "url": "https://example.com"},
            "provider": {"name": "none", "url": "https://example.com"},
            "contact": {"name": "none"},
        },
        "resources": {
            "sites": {
                **words,
                "type": "collection",
                "links": [{"type": "text/html", "rel": "canonical", "title": "none", "href": "https://example.com"}],
                "extents": {
                    "spatial": {"bbox": list(extent.box), "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
                },
                "providers": [provider],
            }
        },
    }


def environment_of(name: str) -> Path:
    """The binaries of the peer's environment, which is made anew when its pins have changed."""
    home = ENVIRONMENTS / name
    pins, made = "\n".join(PINS[name]), home / "pins.txt"
    if not made.exists() or made.read_text() != pins:
        shutil.rmtree(home, ignore_errors=True)
        print(f"Making {home} for {name}")
        run([find_python(), "-m", "venv", home], timeout_seconds=120)
        run([home / "bin/python", "-m", "pip", "install", "--quiet", *PINS[name]], timeout_seconds=900)
        made.write_text(pins)
    return home / "bin"


def find_python() -> Path:
    """A Python that the peers run on; raises `MissingToolError`."""
    for version in PYTHONS:
        ways: tuple[list[str | Path], ...] = (
            [f"python{version}", "-c", "import sys; print(sys.executable)"],
            [_uv(), "python", "find", version],
        )
        for way in ways:
            with suppress(MissingToolError):
                return Path(run(way, environment={"PYENV_VERSION": _pyenv(version)}).strip())
    raise MissingToolError("the peers need Python 3.12 or 3.13: `apt-get install python3.13-venv`, or pyenv, or uv")


def _uv() -> Path:
    return Path(sys.executable).with_name("uv")


def _pyenv(version: str) -> str:
    """Pyenv's shims run only what is chosen: the newest installed of this release."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return max((path.name for path in root.glob(f"{version}.*")), default="system")


def _start(
    name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path, *, ready: str, port: int = 0
) -> Peer:
    binaries = environment_of(name)
    port = port or free_port()
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [binaries / command[0], *(part.format(port=port) for part in command[1:])],
            env={"PATH": os.environ["PATH"], **environment},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise MissingToolError(f"{name} ended: {(directory / f'{name}.log').read_text()[-2000:]}")
        try:
            return httpx.get(f"http://127.0.0.1:{port}{ready}", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, timeout_seconds=START_SECONDS, what=f"a first answer of {name}")
    return Peer(name=name, port=port, process=process)
