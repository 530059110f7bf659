"""The way to the Buckets' reconciler, whose S3 libraries are half of what the operator weighs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from landfall_operator.kube import Kube
from landfall_operator.metrics import Metrics
from landfall_operator.resource import Key
from landfall_operator.settings import Settings
from landfall_operator.store import Store
from landfall_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from landfall_operator.bucket_reconciler import BucketReconciler


class Buckets:
    """Makes the reconciler when the first Bucket is there."""

    def __init__(self, store: Store, kube: Kube, queue: WorkQueue, metrics: Metrics, *, settings: Settings) -> None:
        self._parts = (store, kube, queue, metrics)
        self._settings = settings
        self._lock = asyncio.Lock()
        self._reconciler: BucketReconciler | None = None

    async def __call__(self, key: Key) -> None:
        async with self._lock:
            if self._reconciler is None:
                self._reconciler = await asyncio.to_thread(self._make)
        await self._reconciler(key)

    def _make(self) -> BucketReconciler:
        from landfall_operator.bucket_reconciler import BucketReconciler

        return BucketReconciler(*self._parts, settings=self._settings)
