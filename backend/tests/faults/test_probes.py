"""Probes against a real server: what they cost it, and what they see of its schema."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from app.db import migrate
from app.db.schema_state import SchemaInspector
from tests.faults.conftest import MakeService
from tests.support.postgres import PostgresServer
from tests.support.settings import make_settings

pytestmark = pytest.mark.fault

HEAD = SchemaInspector().head


def execute(url: str, statement: str) -> Any:
    """Run it outside of a transaction; its first value, if it gives one."""
    address = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def test_two_hundred_probes_at_once_cost_the_database_one_query(
    landfall_url: str, own_postgres: PostgresServer, make_service: MakeService
) -> None:
    execute(landfall_url, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    own_postgres.stop(immediate=False)
    own_postgres.start_again()
    execute(landfall_url, "CREATE EXTENSION pg_stat_statements")
    service = make_service(DATABASE_URL=landfall_url).start()
    with ThreadPoolExecutor(20) as threads, service.client() as client:
        list(threads.map(lambda _: client.get("/healthz"), range(20)))  # the connections are made before it counts
        execute(landfall_url, "SELECT pg_stat_statements_reset()")
        started = perf_counter()
        statuses = list(threads.map(lambda _: client.get("/readyz").status_code, range(200)))
        seconds = perf_counter() - started
    asked = execute(landfall_url, "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '%FROM alembic_version%'")
    assert statuses == [200] * 200
    assert 1 <= asked <= 1 + seconds  # 200 within a second on a quiet machine


def test_a_migration_turns_a_waiting_service_ready(
    own_postgres: PostgresServer, make_service: MakeService, tmp_path: Path
) -> None:
    url = own_postgres.create_database("landfall")
    settings = make_settings(tmp_path, database_url=url)
    service = make_service(DATABASE_URL=url).start()

    def readiness() -> tuple[int, str]:
        with service.client() as client:
            answer = client.get("/readyz")
        return answer.status_code, answer.json()["checks"]["schema"]["detail"]

    status, detail = readiness()
    assert (status, "has no schema of ours" in detail) == (503, True)
    migrate.upgrade(settings, target="c35d9b1f7a84")
    migrate.upgrade(settings)
    service.wait_ready(3)
    assert readiness() == (200, f"at {HEAD}")
