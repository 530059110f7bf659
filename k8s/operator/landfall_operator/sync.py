"""Whole lists, at the start and from time to time: a watch alone does not tell what it has missed."""

from __future__ import annotations

import asyncio
import logging

from landfall_operator.kube import Kube
from landfall_operator.metrics import Metrics
from landfall_operator.schema import ADVICE, missing
from landfall_operator.store import KINDS, Store, key_of
from landfall_operator.workqueue import WorkQueue

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 15.0

logger = logging.getLogger(__name__)


class Sync:
    """Fills the store; `namespace` is the one that is watched, None for all."""

    def __init__(self, store: Store, kube: Kube, queue: WorkQueue, metrics: Metrics, *, namespace: str | None) -> None:
        self._store = store
        self._kube = kube
        self._queue = queue
        self._metrics = metrics
        self._namespace = namespace

    async def first(self) -> None:
        """Lists, however long the API server takes to answer."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next time may be better
                logger.warning(
                    "The lists could not be had: %s: %s; again in %.0f s", type(error).__name__, error, pause
                )
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def for_ever(self, *, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self.first()

    async def _once(self) -> None:
        """Before the first decision this must have been done: a Job that is not seen yet would be taken for none."""
        for kind in KINDS:
            bodies, version = await self._kube.list(kind, namespace=self._namespace)
            self._store.replace(kind, bodies, version=version)
        self._store.complete = True
        await self._check_schema()
        for body in self._store.migrations():
            self._queue.add(key_of(body))

    async def _check_schema(self) -> None:
        try:
            lacking = missing(await self._kube.served_schema())
        except Exception as error:  # noqa: BLE001 - without the answer it works on as before
            logger.warning("The served CRD could not be looked at: %s", error)
            return
        self._store.outdated = lacking
        self._metrics.outdated.set(bool(lacking))
        if lacking:
            logger.error("The served CRD of Migration lacks %s. %s", ", ".join(lacking), ADVICE)
