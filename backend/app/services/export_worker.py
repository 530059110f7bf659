"""The threads that write the files of export jobs, in whichever process takes one."""

from __future__ import annotations

import logging
import time
import uuid
from threading import Condition, Event, Thread
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.db.session import DatabaseSessionManager, why
from app.errors import DatabaseUnavailableError, LandfallError, UnavailableError
from app.services.export_files import ExportFault, sweep, workplace, write_export
from app.services.export_jobs import Claim, ExportJobs
from app.services.site_tables import TableWriterKilledError
from app.settings import ExportsSettings

logger = logging.getLogger(__name__)

STOP_SECONDS = 5
RENEWALS = 3  # in the time of a lease: it outlives two that fail; as often others' jobs are looked for


class _EndedError(Exception):
    """The job is not to be finished here: it was deleted, another process has it, or this one stops."""


class ExportWorker:
    """Writes one job after another in each of its threads; the rows keep what a process that dies had begun."""

    def __init__(self, jobs: ExportJobs, database: DatabaseSessionManager, settings: ExportsSettings) -> None:
        self.jobs = jobs
        self._database = database
        self._settings = settings
        self._interval = settings.lease_seconds.total_seconds() / RENEWALS
        self._changed = Condition()
        self._stopping = Event()
        self._threads: list[Thread] = []
        self._claims: dict[uuid.UUID, tuple[Claim, Event]] = {}  # by their tokens, with what tells of their loss

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._stopping.clear()
        self._threads = [Thread(target=self._work, name="exports", daemon=True) for _ in range(self._settings.jobs)]
        if self._threads:
            sweep()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what is under way, and give back what does not end in time."""
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        for claim, _ in list(self._claims.values()):
            try:
                self.jobs.give_back(self._database, claim)
            except Exception as error:  # noqa: BLE001 - the lease passes, and the process still has others to end
                logger.warning("Export %s stays as it is until its lease is over: %s", claim.id, why(error))

    def drop(self, job_id: uuid.UUID) -> None:
        """It was deleted; a process that does not hear of it here finds that out by its lease."""
        for claim, lost in list(self._claims.values()):
            if claim.id == job_id:
                lost.set()

    def wake(self) -> None:
        """There is a new job."""
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                claim = self.jobs.claim(self._database)
            except Exception as error:  # noqa: BLE001 - a worker outlives every outage
                logger.info("No export could be looked for: %s: %s", type(error).__name__, why(error))
                claim = None
            if claim is not None:
                self._run(claim)
                continue
            with self._changed:
                if not self._stopping.is_set():
                    self._changed.wait(self._interval)

    def _run(self, claim: Claim) -> None:
        lost, done = Event(), Event()
        self._claims[claim.token] = claim, lost
        keeper = Thread(target=self._keep, args=(claim, lost, done), name="export lease", daemon=True)
        keeper.start()
        try:
            self._outcome(claim, lost)
        except Exception as error:  # noqa: BLE001 - the lease passes, and another process tries
            logger.warning("Export %s stays as it is until its lease is over: %s", claim.id, why(error))
        finally:
            done.set()
            self._claims.pop(claim.token, None)

    def _outcome(self, claim: Claim, lost: Event) -> None:
        try:
            self._write(claim, lost)
        except _EndedError:
            self.jobs.give_back(self._database, claim)
        except ExportFault as fault:
            self.jobs.fail(self._database, claim, failure=str(fault))
        except TableWriterKilledError as error:
            logger.warning("Export %s is tried again later: %s", claim.id, error)
            self.jobs.retry(self._database, claim, failure=str(error))
        except (UnavailableError, DBAPIError, PoolTimeoutError) as error:
            # What the driver says, with names and addresses, is for the log.
            failure = (error if isinstance(error, UnavailableError) else DatabaseUnavailableError).title
            logger.warning("Export %s is tried again later: %s", claim.id, why(error))
            self.jobs.retry(self._database, claim, failure=failure)
        except LandfallError as error:
            self.jobs.fail(self._database, claim, failure=str(error))
        except Exception:
            logger.exception("Export %s failed", claim.id)
            self.jobs.fail(self._database, claim, failure=LandfallError.detail)

    def _write(self, claim: Claim, lost: Event) -> None:
        sites = 0

        def progress(more: int) -> None:
            nonlocal sites
            sites += more
            if lost.is_set() or self._stopping.is_set():
                raise _EndedError

        with workplace() as directory:
            path = write_export(
                self._database, claim.wanted, directory, max_bytes=self._settings.max_bytes, progress=progress
            )
            with path.open("rb") as file:
                self.jobs.finish(self._database, claim, file, size=path.stat().st_size, sites=sites)

    def _keep(self, claim: Claim, lost: Event, done: Event) -> None:
        while not done.wait(self._interval):
            try:
                if not self.jobs.renew(self._database, claim):
                    lost.set()
                    return
            except Exception as error:  # noqa: BLE001 - the next renewal may pass
                logger.info("The lease of the export %s could not be renewed: %s", claim.id, why(error))
