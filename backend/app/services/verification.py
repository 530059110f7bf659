"""Verifying completed uploads behind the requests that completed them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread

from app.db.session import DatabaseSessionManager, why
from app.errors import ArtifactStateError, NotFoundError
from app.services.artifacts import ArtifactService
from app.services.changes import Actor

logger = logging.getLogger(__name__)

WORKERS = 2  # reading is bound by the network, and each file may be as large as 50 GiB
STOP_SECONDS = 1


class Verifier:
    """Verifies uploads one after another in threads of its own, so that requests never wait for one.

    The threads are daemons: a process does not stay for a large file, and what it leaves the reaper finishes.
    """

    def __init__(self, artifacts: ArtifactService, database: DatabaseSessionManager) -> None:
        self._artifacts = artifacts
        self._database = database
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopping = Event()
        self._threads: list[Thread] = []

    def start(self) -> None:
        self._stopping.clear()
        self._threads = [Thread(target=self._work, name="verifier", daemon=True) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further verification, and wait a moment for those under way."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def submit(self, artifact_id: uuid.UUID, *, actor: Actor) -> None:
        # The context carries the request id into the log.
        self._jobs.put(partial(copy_context().run, self._verify, artifact_id, actor))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopping.is_set():
            job()

    def _verify(self, artifact_id: uuid.UUID, actor: Actor) -> None:
        try:
            with self._database.session() as session:
                self._artifacts.verify(session, artifact_id, actor=actor)
        except (NotFoundError, ArtifactStateError):
            logger.info("Artifact %s was deleted or verified before its turn came", artifact_id)
        except Exception as error:  # noqa: BLE001 - a worker outlives every job
            reason = f"{type(error).__name__}: {why(error)}"
            logger.warning("Artifact %s stays unverified until it is reaped: %s", artifact_id, reason)
