"""Deployments that wait for a schema are told of its stall, for seconds: a marker left fails the next good upgrade.

kstatus reads a `Stalled` condition on any kind, so `helm upgrade --wait` ends at once with our message; the Deployment
controller keeps conditions that it does not know.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from landfall_operator.conditions import condition
from landfall_operator.constants import GATE_SECONDS
from landfall_operator.kube import Kube
from landfall_operator.resource import Json, Key, moment
from landfall_operator.store import Store
from landfall_operator.views import Migration
from landfall_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)


class Gates:
    """Marks, and takes away what is old or void, whoever made it: the Deployments themselves are the record."""

    def __init__(self, store: Store, kube: Kube, queue: WorkQueue) -> None:
        self._store = store
        self._kube = kube
        self._queue = queue
        self._generations: dict[Key, int] = {}  # of the Migration when it marked; the store learns of the stall later

    async def mark(self, migration: Migration, message: str) -> None:
        for gate in migration.spec.get("gates") or []:
            text = f"{_prefix(migration.name)}{message}"
            self._generations[migration.namespace, gate["deployment"]] = migration.generation
            try:
                await self._kube.mark_gate(migration.namespace, gate["deployment"], message=text)
            except Exception as error:  # noqa: BLE001 - the Migration's own status matters more
                logger.warning(
                    "%s/%s could not be told of the stall: %s", migration.namespace, gate["deployment"], error
                )

    def look_again(self, namespace: str | None) -> None:
        """After anything that may have made a marker void."""
        for key in self._store.marked(namespace):
            self._queue.add(key)

    async def __call__(self, key: Key) -> None:
        """Take one Deployment's marker away when its time is over."""
        try:
            marker = self._store.marker(key)
            if marker is None:
                return
            now = datetime.now(UTC)
            left = GATE_SECONDS - (now - (moment(marker["lastTransitionTime"]) or now)).total_seconds()
            if left > 0 and self._holds(key, marker):
                self._queue.add_after(key, left)
            else:
                await self._kube.mark_gate(*key, message=None)
                self._generations.pop(key, None)
        except Exception as error:  # noqa: BLE001 - one Deployment's trouble is not the others'
            logger.warning("%s/%s: the marker stays for now: %s", *key, error)
            self._queue.add_after(key, GATE_SECONDS)

    def _holds(self, deployment: Key, marker: Json) -> bool:
        """Whether the Migration that a marker speaks of is there, has this gate, and is what it was when it marked."""
        for body in self._store.migrations():
            name, generation = body["metadata"]["name"], body["metadata"].get("generation")
            if body["metadata"]["namespace"] == deployment[0] and marker["message"].startswith(_prefix(name)):
                gates = [gate["deployment"] for gate in body["spec"].get("gates") or []]
                # After a restart only the status can tell.
                stalled = condition(body["status"], "Stalled")
                known = stalled.get("observedGeneration") if stalled.get("status") == "True" else None
                return deployment[1] in gates and generation == self._generations.get(deployment, known)
        return False


def _prefix(name: str) -> str:
    return f"Migration/{name}: "
