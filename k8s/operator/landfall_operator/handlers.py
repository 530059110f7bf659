"""kopf's part: watches become queue entries. Plain event handlers leave no finalizer and no annotation behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kopf

from landfall_operator.constants import GROUP, LABEL_UID, VERSION
from landfall_operator.store import Store, key_of
from landfall_operator.workqueue import WorkQueue

SERVER_TIMEOUT_SECONDS = 600  # an int: a float is answered with HTTP 400


def configure(settings: kopf.OperatorSettings) -> None:
    settings.watching.server_timeout = SERVER_TIMEOUT_SECONDS
    settings.watching.client_timeout = SERVER_TIMEOUT_SECONDS + 30
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP, key="last-handled", v1=False)


def register(registry: kopf.OperatorRegistry, *, store: Store, queue: WorkQueue, gates: WorkQueue) -> None:
    """Handlers for the Migrations and for what belongs to them."""

    def wake(keys: Iterable[tuple[str, str]]) -> None:
        for key in keys:
            queue.add(key)

    @kopf.on.login(registry=registry)
    async def login(**context: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**context) or kopf.login_with_kubeconfig(**context)

    @kopf.on.event(GROUP, VERSION, "migrations", registry=registry)
    async def on_migration(*, event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        store.see("Migration", body, deleted=event["type"] == "DELETED")
        queue.add(key_of(body))
        wake(store.in_conflict() if event["type"] == "DELETED" else ())

    async def on_child(kind: str, event: kopf.RawEvent) -> None:
        body = event["object"]
        store.see(kind, body, deleted=event["type"] == "DELETED")
        owner = store.migration_of(body)
        if owner:
            queue.add(owner)

    @kopf.on.event("batch", "v1", "jobs", labels={LABEL_UID: kopf.PRESENT}, registry=registry)
    async def on_job(*, event: kopf.RawEvent, **_: Any) -> None:
        await on_child("Job", event)

    @kopf.on.event("", "v1", "pods", labels={LABEL_UID: kopf.PRESENT}, registry=registry)
    async def on_pod(*, event: kopf.RawEvent, **_: Any) -> None:
        await on_child("Pod", event)

    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    async def on_deployment(*, event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        store.see("Deployment", body, deleted=event["type"] == "DELETED")
        wake(store.followers(key_of(body)))
        gates.add(key_of(body))
