"""Whether this process can do its work: database, storage and schema, each asked at once, each with its own limit."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter

from app.artifacts.storage import ArtifactStorage
from app.db.schema_state import SchemaInspector, SchemaStatus
from app.db.session import DatabaseSessionManager, why
from app.errors import LandfallError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.8  # with the cache less than two seconds, and in time for a kubelet's patience of one
CACHE_SECONDS = 1.0  # however many probe, each dependency is asked once a second

ADVICE = {
    "behind": "the database is at {current}, this code needs {head}: run `landfall migrate`",
    "unversioned": "the database has no schema of ours, this code needs {head}: run `landfall migrate`",
    "up-to-date": "at {head}",
    "ahead": "the database is at {current}, newer than this code's {head}: that is fine",
}


class NotReadyError(Exception):
    """A check's own bad news, fit for people."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    name: str
    ready: bool
    detail: str
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Report:
    checks: tuple[CheckResult, ...]

    @property
    def ready(self) -> bool:
        return all(check.ready for check in self.checks)


class HealthService:
    """Runs the checks in threads of their own, since one that hangs cannot be ended: it is not started again."""

    def __init__(self, checks: Mapping[str, Callable[[], str]]) -> None:
        self._checks = checks
        self._running: dict[str, Future[str]] = {}
        self._report: tuple[float, Report] | None = None
        self._was_ready: dict[str, bool] = {}
        self._lock = asyncio.Lock()

    async def report(self) -> Report:
        """The state of each check, at most a second old."""
        async with self._lock:
            if self._report is None or perf_counter() - self._report[0] > CACHE_SECONDS:
                checks = await asyncio.gather(*(self._check(name) for name in self._checks))
                self._report = (perf_counter(), Report(checks=tuple(checks)))
            return self._report[1]

    async def _check(self, name: str) -> CheckResult:
        started = perf_counter()
        try:
            future = asyncio.wrap_future(self._start(name))
            ready, detail = True, await asyncio.wait_for(asyncio.shield(future), CHECK_SECONDS)
        except TimeoutError:
            ready, detail = False, f"no answer within {CHECK_SECONDS:g} s"
        except NotReadyError as error:
            ready, detail = False, str(error)
        except LandfallError as error:
            ready, detail = False, why(error)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means not ready
            ready, detail = False, why(error)
        if self._was_ready.get(name, True) is not ready:
            logger.warning("%s is %s: %s", name, "ready" if ready else "not ready", detail)
        self._was_ready[name] = ready
        return CheckResult(
            name=name, ready=ready, detail=detail, latency_ms=round((perf_counter() - started) * 1000, 2)
        )

    def _start(self, name: str) -> Future[str]:
        running = self._running.get(name)
        if running is not None and not running.done():
            return running
        future: Future[str] = Future()

        def run() -> None:
            try:
                future.set_result(self._checks[name]())
            except Exception as error:  # noqa: BLE001 - it goes to whoever waits
                future.set_exception(error)

        threading.Thread(target=run, name=f"check-{name}", daemon=True).start()
        self._running[name] = future
        return future


def checks_of(
    database: DatabaseSessionManager, storage: ArtifactStorage, schema: SchemaInspector
) -> dict[str, Callable[[], str]]:
    """The checks by name; each returns what it found, or raises."""

    def check_database() -> str:
        database.check()
        return "answers"

    def check_storage() -> str:
        storage.check()
        return "answers"

    def check_schema() -> str:
        with database.session(read_only=True) as session, session.begin():
            status = schema.status(session)
        detail = advise(status)
        if not status.ready:
            raise NotReadyError(detail)
        return detail

    return {"database": check_database, "storage": check_storage, "schema": check_schema}


def advise(status: SchemaStatus) -> str:
    return ADVICE[status.state].format(current=", ".join(status.current), head=status.head)
