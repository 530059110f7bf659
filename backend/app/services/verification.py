"""Verifying completed uploads behind the requests that completed them."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Thread

from app.db.session import DatabaseSessionManager, why
from app.errors import ArtifactStateError, NotFoundError
from app.models import UserRole
from app.services.artifacts import ArtifactService
from app.services.changes import Actor

logger = logging.getLogger(__name__)

WORKERS = 2  # reading is bound by the network, and each file may be as large as 50 GiB
STOP_SECONDS = 1
RETRY_SECONDS = (2, 10, 60, 300)  # before each further try; their sum is less than the reaper's patience
OTHERS_WORK = timedelta(minutes=1)  # a younger verification is probably at work in another process
RECOVERY = Actor(id=None, role=UserRole.ADMIN)


@dataclass(frozen=True, order=True)
class _Job:
    due: float
    number: int
    run: Callable[[], None] = field(compare=False)


class Verifier:
    """Verifies uploads one after another in threads of its own, so that requests never wait for one.

    The threads are daemons: a process does not stay for a large file. What it leaves the next one picks up when it
    starts; what cannot be verified is tried again a few times, and then left to the reaper.
    """

    def __init__(
        self,
        artifacts: ArtifactService,
        database: DatabaseSessionManager,
        *,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        others_work: timedelta = OTHERS_WORK,
    ) -> None:
        self._artifacts = artifacts
        self._database = database
        self._retry_seconds = retry_seconds
        self._others_work = others_work
        self._jobs: list[_Job] = []  # a heap, the one that is due first at its top
        self._numbers = count()
        self._changed = Condition()
        self._stopping = False
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begin to work, first on what was left `verifying` by a process that has ended."""
        self._stopping = False
        self._threads = [Thread(target=self._work, name="verifier", daemon=True) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()
        now = datetime.now(UTC)
        young = now - self._others_work
        self._put(partial(self._recover, since=None, before=young))
        # What was younger is looked at when it no longer is; what this process accepts is younger still.
        self._put(partial(self._recover, since=young, before=now), delay=self._others_work.total_seconds())

    def stop(self) -> None:
        """Begin no further verification, and wait a moment for those under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def submit(self, artifact_id: uuid.UUID, *, actor: Actor) -> None:
        self._put(partial(self._verify, artifact_id, actor))

    def _put(self, work: Callable[[], None], *, delay: float = 0) -> None:
        # The context carries the request id into the log.
        run = partial(copy_context().run, work)
        with self._changed:
            heappush(self._jobs, _Job(time.monotonic() + delay, next(self._numbers), run))
            self._changed.notify()

    def _next(self) -> _Job | None:
        """Wait for the next job that is due; None when it is time to stop."""
        with self._changed:
            while not self._stopping:
                wait = self._jobs[0].due - time.monotonic() if self._jobs else None
                if wait is not None and wait <= 0:
                    return heappop(self._jobs)
                self._changed.wait(wait)
        return None

    def _work(self) -> None:
        while job := self._next():
            job.run()

    def _recover(self, *, since: datetime | None, before: datetime, tries: int = 0) -> None:
        try:
            with self._database.session(read_only=True) as session:
                found = self._artifacts.unverified(session, since=since, before=before)
        except Exception as error:  # noqa: BLE001 - a worker outlives every job
            again = partial(self._recover, since=since, before=before, tries=tries + 1)
            self._later(again, "Unverified artifacts could not be looked for", error, tries=tries)
            return
        for artifact_id in found:
            logger.info("Artifact %s was left unverified, perhaps by a process that has ended", artifact_id)
            self.submit(artifact_id, actor=RECOVERY)

    def _verify(self, artifact_id: uuid.UUID, actor: Actor, tries: int = 0) -> None:
        try:
            with self._database.session() as session:
                self._artifacts.verify(session, artifact_id, actor=actor)
        except (NotFoundError, ArtifactStateError):
            logger.info("Artifact %s was deleted or verified before its turn came", artifact_id)
        except Exception as error:  # noqa: BLE001 - a worker outlives every job
            again = partial(self._verify, artifact_id, actor, tries + 1)
            self._later(again, f"Artifact {artifact_id} stays unverified", error, tries=tries)

    def _later(self, again: Callable[[], None], what: str, error: Exception, *, tries: int) -> None:
        reason = f"{type(error).__name__}: {why(error)}"
        if tries >= len(self._retry_seconds):
            logger.warning("%s until the reaper runs: %s", what, reason)
            return
        pause = self._retry_seconds[tries] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        logger.info("%s, next try in %.1f s: %s", what, pause, reason)
        self._put(again, delay=pause)
