"""Starting while the database is away or wrong: production waits for it, development says why not and ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import make_url

from tests.faults.conftest import MakeService
from tests.support.object_store import ObjectStore
from tests.support.postgres import PostgresServer
from tests.support.secrets import DATABASE_PASSWORD
from tests.support.service import Service, store_environment
from tests.support.tools import free_port, wait_until

pytestmark = pytest.mark.fault

RETRIES_SECONDS = 25  # five retries with doubling pauses from half a second, 15.5 s, and up to a fifth of jitter


def established(service: Service) -> int:
    return len(service.messages("Database connection established"))


@pytest.mark.slow
def test_production_waits_for_its_database_and_recovers_by_itself(
    landfall_url: str, own_postgres: PostgresServer, make_service: MakeService, moto_store: ObjectStore
) -> None:
    service = make_service(
        ENVIRONMENT="production",
        DATABASE_URL=landfall_url,
        **store_environment(moto_store, moto_store.make_bucket()),
    )
    own_postgres.stop()
    service.start()
    wait_until(lambda: bool(service.messages("No connection to")), timeout_seconds=5, what="a first retry")
    wait_until(
        lambda: service.log.count("Not ready until it answers") == 1, timeout_seconds=RETRIES_SECONDS, what="the last"
    )
    pauses = [float(m.partition("next try in ")[2].split(" ")[0]) for m in service.messages("No connection to")[:-1]]
    assert len(pauses) == 5
    assert all(later > earlier for earlier, later in pairwise(pauses))
    with service.client() as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "Connection refused" in answer.json()["checks"]["database"]["detail"]
    assert established(service) == 0

    own_postgres.start_again()
    service.wait_ready(3)
    with service.client() as client:
        for _ in range(3):
            assert client.get("/api/v1/tasks", headers=service.authorization).status_code == 200
    assert established(service) == 1
    assert "Traceback" not in service.log
    assert DATABASE_PASSWORD not in service.log


def test_a_start_with_a_database_there_says_so_once(landfall_url: str, make_service: MakeService) -> None:
    service = make_service(DATABASE_URL=landfall_url).start()
    service.wait_ready()
    with service.client() as client:
        for _ in range(3):
            assert client.get("/api/v1/tasks", headers=service.authorization).status_code == 200
    assert established(service) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "not-the-password"}, 'password authentication failed for user "landfall"'),
        ({"host": "no-such-host.invalid"}, 'could not translate host name "no-such-host.invalid"'),
        ({"port": free_port()}, "Connection refused"),
        ({"database": "no_such_database"}, 'database "no_such_database" does not exist'),
        ({"query": {"sslmode": "require"}}, "server does not support SSL, but SSL was required"),
    ],
    ids=["password", "host", "port", "database", "tls"],
)
def test_development_ends_at_once_with_one_line_that_says_what_is_wrong(
    wrong: dict[str, object], reason: str, own_postgres: PostgresServer, make_service: MakeService
) -> None:
    url = make_url(own_postgres.url("postgres")).set(**wrong)  # type: ignore[arg-type]  # one of the parameters each
    service = make_service(
        ENVIRONMENT="development", DATABASE_URL=url.render_as_string(hide_password=False), AUTH_SIGNING_KEYS=""
    ).launch()
    assert service.exit_code() == 1
    (line,) = service.log.splitlines()
    assert line.startswith("landfall: database postgresql+psycopg2://landfall:***@")
    assert line.endswith("Is DATABASE_URL right, and the server up?")
    assert reason in line
    assert DATABASE_PASSWORD not in line
    assert "not-the-password" not in line
