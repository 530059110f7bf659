"""Reads that hang hold up no change, which begins with a look at who asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from tests.faults.conftest import MakeService
from tests.support.api import site
from tests.support.tools import wait_until

pytestmark = pytest.mark.fault

READS = 12  # of the 15 requests that are at work at once; more than reads have connections
CONNECTIONS = 7


def waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    return found or 0


def test_changes_go_on_while_every_connection_for_reads_hangs(landfall_url: str, make_service: MakeService) -> None:
    service = make_service(DATABASE_URL=landfall_url, DATABASE_STATEMENT_TIMEOUT_SECONDS="30").start()
    engine = create_engine(landfall_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
    with service.client() as client, ThreadPoolExecutor(READS) as pool:
        headers = service.authorization
        read = partial(client.get, "/api/v1/tasks", headers=headers)
        with engine.begin() as locker:
            locker.execute(text("LOCK TABLE tasks"))
            reads = [pool.submit(read) for _ in range(READS)]
            wait_until(lambda: waiting(engine) >= CONNECTIONS, timeout_seconds=5, what="reads that hang")
            wait_until(lambda: service.metric("http_requests_in_flight") > READS, timeout_seconds=5, what="the others")
            changed = client.post("/api/v1/sites", json=site(), headers=headers, timeout=3)
        assert changed.status_code == 201
        assert {answered.result().status_code for answered in reads} == {200}
