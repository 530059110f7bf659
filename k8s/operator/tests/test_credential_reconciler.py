"""What a Credential tells, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

from fake_kube import FakeKube
from prometheus_client import CollectorRegistry

from landfall_operator.constants import ANNOTATION_ROTATE
from landfall_operator.credential_reconciler import CredentialReconciler
from landfall_operator.metrics import Metrics
from landfall_operator.resource import Credential, Json, Resource
from landfall_operator.store import Store
from landfall_operator.workqueue import WorkQueue

KEY = ("shop", "db")
VALUES = {"password": {"generate": {"length": 32, "alphabet": "Alphanumeric"}}}
SPEC = {"secretName": "db", "values": VALUES, "templates": {}, "deletionPolicy": "Retain", "onLoss": "Fail"}
METADATA = {"namespace": "shop", "name": "db", "uid": "c1", "generation": 1}


class Listening(FakeKube):
    """Keeps what is told in its order: an Event by its reason, and what a status says was rotated."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.told: list[str] = []

    async def tell(self, resource: Resource, *, reason: str, **more: Any) -> None:
        self.told.append(reason)
        await super().tell(resource, reason=reason, **more)

    async def set_status(self, resource: Resource, status: dict[str, Any]) -> Json | None:
        self.told.append(f"status of {status.get('rotatedFor')}")
        return await super().set_status(resource, status)


def test_who_sees_new_values_in_the_status_finds_the_event_that_says_so() -> None:
    store = Store(None)
    kube = Listening(store)
    reconciler = CredentialReconciler(store, kube, WorkQueue(), Metrics(CollectorRegistry()))
    kube.add(Credential(body={"metadata": METADATA, "spec": SPEC, "status": {}}))
    asyncio.run(reconciler.reconcile(KEY))
    kube.told.clear()
    kube.change(KEY, annotations={ANNOTATION_ROTATE: "today"})
    asyncio.run(reconciler.reconcile(KEY))
    assert kube.told == ["Rotated", "status of today"]
