"""Whole lists, at the start and from time to time: a watch alone does not tell what it has missed."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping

from landfall_operator.kube import Kube
from landfall_operator.metrics import Metrics
from landfall_operator.schema import ADVICE, missing
from landfall_operator.store import KINDS, Store
from landfall_operator.workqueue import WorkQueue

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 15.0

logger = logging.getLogger(__name__)


class Sync:
    """Fills the store; `namespace` is the one that is watched, None for all."""

    def __init__(
        self, store: Store, kube: Kube, queues: Mapping[str, WorkQueue], metrics: Metrics, *, namespace: str | None
    ) -> None:
        self._store = store
        self._kube = kube
        self._queues = queues
        self._absent: set[str] = set()
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
            found = await self._kube.list(kind, namespace=self._namespace)
            if found:  # a kind whose CRD is not there does not stop the others
                self._store.replace(kind, found[0], version=found[1])
        self._store.complete = True
        await self._check_schemas()
        for kind, queue in self._queues.items():
            for key in self._store.keys(kind):
                queue.add(key)

    async def _check_schemas(self) -> None:
        try:
            schemas = await self._kube.served_schemas()
        except Exception as error:  # noqa: BLE001 - without the answer it works on as before
            logger.warning("The served CRDs could not be looked at: %s", error)
            return
        absent = {kind for kind, schema in schemas.items() if not schema}
        if self._absent - absent:
            logger.warning("The CRD of %s is served now: ending, to begin anew with it", *(self._absent - absent))
            signal.raise_signal(signal.SIGTERM)
        self._absent = absent
        self._store.outdated = {kind: missing(kind, schema) for kind, schema in schemas.items()}
        self._metrics.outdated.set(any(self._store.outdated.values()))
        for kind, lacking in self._store.outdated.items():
            if kind in absent:
                logger.error("The kind %s is not served. %s", kind, ADVICE)
            elif lacking:
                logger.error("The served CRD of %s lacks %s. %s", kind, ", ".join(lacking), ADVICE)
