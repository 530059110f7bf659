"""The service as a process of its own: `landfall serve`, told everything by its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from tests.support.object_store import REGION, ObjectStore
from tests.support.postgres import PostgresServer
from tests.support.secrets import SIGNING_KEY, USER_PASSWORD
from tests.support.settings import make_settings
from tests.support.tools import free_port, wait_until

LANDFALL = Path(sys.executable).with_name("landfall")
START_SECONDS = 20
STOP_SECONDS = 30  # longer than the service's own grace
EMAIL = "someone@example.com"


@dataclass(kw_only=True)
class Service:
    """One `landfall serve` on a free port; everything that it writes is in its log."""

    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.directory / "service.log").read_text()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The log's JSON lines."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def messages(self, start: str) -> list[str]:
        return [record["message"] for record in self.records if record["message"].startswith(start)]

    def launch(self, *arguments: str) -> Self:
        """Start it, and do not wait."""
        base = {"ENVIRONMENT": "test", "LISTEN_PORT": str(self.port), "AUTH_SIGNING_KEYS": SIGNING_KEY}
        with (self.directory / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [LANDFALL, "serve", *arguments],
                env={"PATH": os.environ["PATH"], "AUTH_BCRYPT_ROUNDS": "4", **base, **self.environment},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def start(self, *arguments: str) -> Self:
        """Start it and wait until the process answers; raises `AssertionError` with its log when it ends instead."""
        self.launch(*arguments)
        wait_until(self._answers, timeout_seconds=START_SECONDS, what="a first answer of the service")
        return self

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        with self.client() as client:
            wait_until(
                lambda: client.get("/readyz").status_code == 200, timeout_seconds=timeout_seconds, what="readiness"
            )

    def exit_code(self) -> int:
        """Wait for it to end by itself."""
        assert self.process is not None
        return self.process.wait(START_SECONDS)

    def stop(self) -> None:
        """End it politely, else kill it; its log goes to the test's output, where secrets are looked for."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        sys.stdout.write(self.log)

    def client(self, *, timeout_seconds: float = 10) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout_seconds, trust_env=False)

    @cached_property
    def authorization(self) -> dict[str, str]:
        """The headers of a logged-in editor (see `prepare`)."""
        with self.client() as client:
            answer = client.post("/api/v1/auth/token", data={"username": EMAIL, "password": USER_PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def metric(self, name: str) -> float:
        """A metric's value; 0 for one that was never counted."""
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            with self.client(timeout_seconds=1) as client:
                return client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def serving(postgres: PostgresServer, directory: Path, **environment: str) -> Iterator[Service]:
    """A service with a database of its own, prepared; both are gone after the block."""
    name = f"landfall_{uuid.uuid4().hex[:8]}"
    url = postgres.create_database(name)
    prepare(url, directory)
    service = Service(directory=directory, environment={"DATABASE_URL": url, **environment})
    try:
        yield service.start()
    finally:
        service.stop()
        postgres.drop_database(name)


def prepare(database_url: str, directory: Path) -> None:
    """Bring a database to head, with an editor in it."""
    settings = make_settings(directory, database_url=database_url)
    migrate.upgrade(settings)
    body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        create_user(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=4)


def store_environment(store: ObjectStore, bucket: str) -> dict[str, str]:
    """The variables that name a bucket on `store`."""
    return {
        "ARTIFACTS_BUCKET": bucket,
        "ARTIFACTS_ENDPOINT_URL": store.endpoint_url,
        "ARTIFACTS_REGION": REGION,
        "ARTIFACTS_ACCESS_KEY": store.access_key,
        "ARTIFACTS_SECRET_KEY": store.secret_key,
    }
