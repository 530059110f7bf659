"""kopf's part: watches become queue entries. Plain event handlers leave no finalizer and no annotation behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import kopf

from landfall_operator.constants import GROUP, LABEL_UID, LABEL_WATCHES, VERSION
from landfall_operator.resource import Json, Key
from landfall_operator.store import OURS, Store, key_of, owner_of
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
    # Not ours: kopf removes what it takes for its own.
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP, key="last-handled", v1=False)


class Watches:
    """What to do with each event: keep it, and wake whom it concerns. `queues` has one for each kind of ours."""

    def __init__(self, store: Store, queues: Mapping[str, WorkQueue], gates: WorkQueue) -> None:
        self._store = store
        self._queues = queues
        self._gates = gates

    def register(self, registry: kopf.OperatorRegistry) -> None:
        @kopf.on.login(registry=registry)
        async def login(**context: Any) -> kopf.ConnectionInfo | None:
            return kopf.login_with_service_account(**context) or kopf.login_with_kubeconfig(**context)

        def watch(kind: str, *resource: str, label: str | None = None) -> None:
            labels = {label: kopf.PRESENT} if label else None

            @kopf.on.event(*resource, id=kind, labels=labels, registry=registry)
            async def on_event(*, event: kopf.RawEvent, **_: Any) -> None:
                self.see(kind, event["object"], deleted=event["type"] == "DELETED")

        for kind in OURS:
            watch(kind, GROUP, VERSION, f"{kind.lower()}s")
        watch("Job", "batch", "v1", "jobs", label=LABEL_UID)
        watch("Pod", "", "v1", "pods", label=LABEL_UID)
        watch("Watch", "", "v1", "configmaps", label=LABEL_WATCHES)
        watch("Deployment", "apps", "v1", "deployments")

    def see(self, kind: str, body: Json, *, deleted: bool) -> None:
        self._store.see(kind, body, deleted=deleted)
        key = key_of(body)
        if kind in OURS:
            self._queues[kind].add(key)
            # The end of a Migration is the beginning of those that its database was refused to.
            self._wake("Migration", self._store.in_conflict() if kind == "Migration" and deleted else ())
        elif kind == "Deployment":
            self._wake("Migration", self._store.followers(key))
            self._gates.add(key)
        elif kind == "Watch":
            self._secret_changed(body)
        elif owner := self._store.migration_of(body):
            self._queues["Migration"].add(owner)

    def _secret_changed(self, watch: Json) -> None:
        if owner := owner_of(watch):
            self._wake(owner[0], [owner[1]])
        for reference in watch["metadata"].get("ownerReferences") or []:
            self._wake("Bucket", self._store.users_of(watch["metadata"]["namespace"], reference["name"]))

    def _wake(self, kind: str, keys: Iterable[Key]) -> None:
        for key in keys:
            self._queues[kind].add(key)
