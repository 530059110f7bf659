"""The checks behind `/readyz`: at once, each with its limit, cached, one at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from time import perf_counter

import pytest
from sqlalchemy import text

from app.artifacts.storage_factory import create_storage
from app.db.schema_state import SchemaInspector, SchemaState
from app.db.session import DatabaseSessionManager
from app.services import health
from app.services.health import HealthService, NotReadyError, Report, checks_of
from app.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Counted:
    """A check that counts how often it was asked and waits for its gate."""

    def __init__(self, *, open_gate: bool = True) -> None:
        self.asked = 0
        self.gate = threading.Event()
        if open_gate:
            self.gate.set()

    def __call__(self) -> str:
        self.asked += 1
        self.gate.wait(10)
        return "answers"


def failing() -> str:
    raise NotReadyError("the database is at a1, this code needs b2")


async def later(service: HealthService) -> Report:
    """The next report that is not from the cache."""
    first = await service.report()
    async with asyncio.timeout(5):
        while (report := await service.report()) is first:  # noqa: ASYNC110 - a time is waited for, not an event
            await asyncio.sleep(0.01)
    return report


async def test_two_hundred_probes_at_once_ask_each_dependency_once() -> None:
    check = Counted()
    service = HealthService({"database": check})
    reports = await asyncio.gather(*(service.report() for _ in range(200)))
    assert check.asked == 1
    assert all(report.ready for report in reports)


async def test_a_report_is_made_anew_after_a_second() -> None:
    check = Counted()
    service = HealthService({"database": check})
    started = perf_counter()
    await later(service)
    assert check.asked == 2
    assert 1 <= perf_counter() - started < 1.5


async def test_the_checks_run_at_once_and_each_has_its_own_latency() -> None:
    both = threading.Barrier(2, timeout=5)

    def meets() -> str:
        both.wait()
        return "answers"

    report = await HealthService({"database": meets, "storage": meets, "schema": lambda: "at b2"}).report()
    assert [(check.name, check.ready) for check in report.checks] == [
        ("database", True),
        ("storage", True),
        ("schema", True),
    ]
    assert all(0 <= check.latency_ms < 1000 for check in report.checks)


async def test_a_check_that_hangs_is_given_up_in_time_and_does_not_hold_back_the_others() -> None:
    hanging = Counted(open_gate=False)
    started = perf_counter()
    report = await HealthService({"database": hanging, "storage": Counted()}).report()
    hanging.gate.set()
    database, storage = report.checks
    assert perf_counter() - started < 1
    assert (database.ready, storage.ready) == (False, True)
    assert "no answer within" in database.detail


async def test_an_outage_shows_within_two_seconds_whenever_it_begins() -> None:
    # The worst case: a good report has just been cached, and then the dependency hangs.
    assert health.CACHE_SECONDS + health.CHECK_SECONDS < 2


async def test_a_check_that_still_hangs_is_not_started_again_and_its_answer_counts_when_it_comes() -> None:
    hanging = Counted(open_gate=False)
    service = HealthService({"database": hanging})
    await later(service)
    assert hanging.asked == 1
    hanging.gate.set()
    assert (await later(service)).ready


async def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="app.services.health")
    checks: dict[str, Callable[[], str]] = {"schema": failing}
    service = HealthService(checks)
    await later(service)
    checks["schema"] = Counted()
    await later(service)
    assert [record.getMessage() for record in caplog.records] == [
        "schema is not ready: the database is at a1, this code needs b2",
        "schema is ready: answers",
    ]


def schema_check(settings: Settings) -> tuple[bool, str]:
    storage = create_storage(settings, signing_key=b"")
    with DatabaseSessionManager(settings.database) as database:
        checks = checks_of(database, storage, SchemaInspector())
        try:
            return True, checks["schema"]()
        except NotReadyError as error:
            return False, str(error)


HEAD = SchemaInspector().head
NEEDED = f"this code needs {HEAD}: run `landfall migrate`"


def stamp(settings: Settings, revision: str | None) -> None:
    """Let the database say that it is at this revision; None takes the table away."""
    with DatabaseSessionManager(settings.database) as database, database.session() as session, session.begin():
        statement = "UPDATE alembic_version SET version_num = :to" if revision else "DROP TABLE alembic_version"
        session.execute(text(statement), {"to": revision} if revision else {})


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (HEAD, (True, f"at {HEAD}")),
        ("ffffffffffff", (True, f"the database is at ffffffffffff, newer than this code's {HEAD}: that is fine")),
        ("a1f0c2d9e301", (False, f"the database is at a1f0c2d9e301, {NEEDED}")),
        (None, (False, f"the database has no schema of ours, {NEEDED}")),
    ],
    ids=[SchemaState.UP_TO_DATE, SchemaState.AHEAD, SchemaState.BEHIND, SchemaState.UNVERSIONED],
)
def test_the_schema_is_ready_at_head_or_newer(
    settings: Settings, revision: str | None, expected: tuple[bool, str]
) -> None:
    stamp(settings, revision)
    assert schema_check(settings) == expected
