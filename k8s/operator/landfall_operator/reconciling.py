"""What the reconcilers of all kinds share: one resource at a time, trouble tried again, a status told once."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from time import monotonic, perf_counter
from typing import Any, ClassVar

from landfall_operator.conditions import Verdict, condition
from landfall_operator.constants import MESSAGE_CHARACTERS
from landfall_operator.kube import Kube, is_terminating
from landfall_operator.metrics import Metrics
from landfall_operator.resource import Json, Key, Resource
from landfall_operator.store import Store
from landfall_operator.workqueue import WorkQueue

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
WORKING = frozenset({"Planning", "Applying", "Running", "Replacing"})

logger = logging.getLogger(__name__)


class Reconciling(ABC):
    """Level-based: it looks at all there is and forgets nothing, as it keeps nothing."""

    kind: ClassVar[str]

    def __init__(self, store: Store, kube: Kube, queue: WorkQueue, metrics: Metrics) -> None:
        self._store = store
        self._kube = kube
        self._queue = queue
        self._metrics = metrics
        self._failures: dict[Key, int] = {}
        self._looks: dict[Key, tuple[object, float]] = {}

    async def __call__(self, key: Key) -> None:
        started = perf_counter()
        try:
            await self.reconcile(key)
        except Exception as error:  # noqa: BLE001 - one resource's trouble is not the others'
            self._failed(key, error)
        else:
            self._failures.pop(key, None)
        self._metrics.reconcile.labels(self.kind).observe(perf_counter() - started)

    @abstractmethod
    async def reconcile(self, key: Key) -> None:
        """Bring one resource nearer to its spec; what is raised is tried again."""

    def is_known(self, resource: Resource, *around: object) -> bool:
        """Whether a look now would find what the last one found: own statuses come back as events, too.

        `around` is what else the look depends on, such as the uids of Secrets.
        """
        if not self.is_unchanged(resource, *around):
            return False
        left = self._looks[resource.key][1] - monotonic()
        if left > 0:
            self._queue.add_after(resource.key, left)  # the queue keeps the soonest wake-up only, which this one was
        return left > 0

    def is_unchanged(self, resource: Resource, *around: object) -> bool:
        """The same, though a look may be due."""
        return self._looks.get(resource.key, (None, 0.0))[0] == _fingerprint(resource, around)

    def remember(self, resource: Resource, *around: object, seconds: float) -> None:
        """A look is over; the next one is due after so many seconds, or when something changes."""
        self._looks[resource.key] = (_fingerprint(resource, around), monotonic() + seconds)
        self._queue.add_after(resource.key, seconds)

    def forget(self, key: Key) -> None:
        """It was deleted."""
        self._looks.pop(key, None)
        self._failures.pop(key, None)
        self._metrics.forget(self.kind, key)

    def _failed(self, key: Key, error: Exception) -> None:
        if is_terminating(error):
            return  # the namespace is going, and everything with it
        self._looks.pop(key, None)
        count = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (count - 1), LONGEST_PAUSE_SECONDS)
        self._metrics.errors.labels(self.kind).inc()
        logger.warning("%s %s/%s: %s: %s; again in %.0f s", self.kind, *key, type(error).__name__, error, pause)
        self._queue.add_after(key, pause)

    async def tell(self, resource: Resource, status: dict[str, Any], verdict: Verdict) -> bool:
        """Write the status where it says something new, an Event where the reason is another; False: nothing new."""
        status = {name: value for name, value in status.items() if value is not None}
        if {name: value for name, value in resource.status.items() if value is not None} == status:
            return False
        written = await self._kube.set_status(resource, status)
        if written is None:
            return False
        self._store.see(self.kind, written, deleted=False)
        before = condition(resource.status, "Ready")
        if (before.get("reason"), before.get("message")) != (verdict.reason, verdict.message[:MESSAGE_CHARACTERS]):
            logger.info("%s %s/%s: %s: %s", self.kind, *resource.key, verdict.reason, verdict.message)
        if is_transition(resource.status, verdict):
            warning = verdict.kind == "stalled"
            await self._kube.tell(resource, warning=warning, reason=verdict.reason, message=verdict.message)
        return True


def _fingerprint(resource: Resource, around: tuple[object, ...]) -> object:
    metadata = resource.body["metadata"]
    marks = tuple(sorted(resource.annotations.items()))
    return (resource.uid, resource.generation, marks, metadata.get("deletionTimestamp"), around)


def is_transition(status: Json, verdict: Verdict) -> bool:
    """Whether to tell an Event: another kind of rest, or another reason for it, but not each step of the work."""
    before = condition(status, "Ready").get("reason")
    return before != verdict.reason and not {before, verdict.reason} <= WORKING
