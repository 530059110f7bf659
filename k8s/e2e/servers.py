"""The PostgreSQL servers of a run, and the databases on them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from cluster import Namespace, secret, until

USER = "app"
# It needs escaping in a URL, as generated ones do.
PASSWORD = "e2e/seeded@pass%word"
WRONG_PASSWORD = "e2e/other@wrong%word"
SPELLINGS = tuple(form for word in (PASSWORD, WRONG_PASSWORD) for form in (word, quote(word, safe="")))


@dataclass(frozen=True)
class Server:
    """One PostgreSQL, by the name of its Deployment, Service and volume."""

    stage: Namespace
    name: str

    @property
    def host(self) -> str:
        """As any namespace of the cluster reaches it."""
        return f"{self.name}.{self.stage.name}.svc"

    def install(self, image: str) -> None:
        text = (Path(__file__).parent / "postgres.yaml").read_text().replace("NAME", self.name)
        self.stage.apply(*yaml.safe_load_all(text.replace("IMAGE", image)))

    def uninstall(self) -> None:
        kinds = ("deploy", "svc", "pvc")
        self.stage.kubectl("delete", "--wait=false", *(f"{kind}/{self.name}" for kind in kinds))

    def prepare(self) -> None:
        """Wait until it answers; make the role that owns all databases."""
        self.stage.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=120s")
        until(self.answers, seconds=30, what=f"PostgreSQL {self.name} answers")
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def answers(self) -> bool:
        return "accepting" in self.stage.kubectl(
            "exec", f"deploy/{self.name}", "--", "pg_isready", "-h", "/tmp", check=False
        )

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """The answers of the superuser's statements, each a transaction of its own."""
        return self.stage.sql(*statements, database=database, host=self.name)

    def speak_tls(self, certificate: str, key: str) -> None:
        """Besides plain text; each new connection may choose."""
        for name, text in (("server.crt", certificate), ("server.key", key)):
            script = f"umask 077 && cat > /data/pg/{name}"
            self.stage.kubectl("exec", "-i", f"deploy/{self.name}", "--", "sh", "-c", script, text=text)
        self.sql("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")

    def url(self, database: str, *, password: str = PASSWORD, host: str = "") -> str:
        return f"postgresql://{USER}:{quote(password, safe='')}@{host or self.host}/{database}"

    def create(self, count: int, *, namespace: Namespace, options: str = "") -> list[Database]:
        """Empty databases of `USER`, each with a Secret of its name in the namespace."""
        made = [Database(server=self, name=f"db-{uuid.uuid4().hex[:8]}") for _ in range(count)]
        self.sql(*(f'CREATE DATABASE "{database.name}" OWNER {USER} {options}' for database in made))
        namespace.apply(*(secret(database.secret, database.url) for database in made))
        return made


@dataclass(frozen=True)
class Database:
    """One database of a test's own."""

    server: Server
    name: str

    @property
    def secret(self) -> str:
        """The Secret that holds the URL under DATABASE_URL."""
        return self.name

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def sql(self, *statements: str) -> str:
        """The answers of the superuser's statements, each a transaction of its own."""
        return self.server.sql(*statements, database=self.name)

    def hold(self) -> None:
        """Let the revision of the case `held` begin and not end."""
        self.sql(f"CREATE TABLE go (); ALTER TABLE go OWNER TO {USER}")

    def is_held(self) -> bool:
        return (
            self.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DO %FROM go%'"
            )
            != "0"
        )

    def release(self) -> None:
        self.sql("INSERT INTO go DEFAULT VALUES")

    def share(self, namespace: Namespace) -> None:
        """Give another namespace the Secret too."""
        namespace.apply(secret(self.secret, self.url))
