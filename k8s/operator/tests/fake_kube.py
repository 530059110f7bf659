"""An API server in memory: resources of ours, their Secrets, and the garbage collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from landfall_operator.constants import ANNOTATION_OWNER
from landfall_operator.kube import Kube, Secret
from landfall_operator.resource import Json, Key, Resource, stamp
from landfall_operator.store import Store


class FakeKube(Kube):
    """Shows each change to `store` at once, as the watches would; what is not below has no client to call."""

    def __init__(self, store: Store) -> None:
        self.cluster = "c1"
        self.secrets: dict[Key, Secret] = {}
        self.config_maps: dict[Key, dict[str, str]] = {}
        self.events: list[str] = []
        self.rivals: set[str] = set()  # Secrets that somebody else changes once between a read and a write
        self.secret_reads = 0
        self._store = store
        self._bodies: dict[Key, dict[str, Any]] = {}
        self._kinds: dict[Key, str] = {}
        self._watches: dict[Key, Json] = {}
        self._version = 0

    def add(self, resource: Resource) -> None:
        self._bodies[resource.key], self._kinds[resource.key] = deepcopy(dict(resource.body)), resource.kind
        self._show(resource.key)

    def change(self, key: Key, *, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        body = self._bodies[key]
        if annotations is not None:
            body["metadata"]["annotations"] = annotations
        if spec:
            body["metadata"]["generation"] += 1
            body["spec"] |= spec
        self._show(key)

    def delete(self, key: Key) -> None:
        self._bodies[key]["metadata"]["deletionTimestamp"] = stamp(datetime.now(UTC))
        self._show(key)

    def has(self, key: Key) -> bool:
        return key in self._bodies

    def keep_secret(self, namespace: str, name: str, data: Mapping[str, str]) -> None:
        self._keep(namespace, name, data, annotations={}, owners=())

    def _keep(
        self, namespace: str, name: str, data: Mapping[str, str], *, annotations: Json, owners: tuple[Json, ...]
    ) -> Secret:
        version = self._next()
        made = self.secrets[namespace, name] = Secret(
            namespace=namespace,
            name=name,
            uid=f"secret-{version}",
            version=version,
            annotations=dict(annotations),
            owner_references=owners,
            data=dict(data),
        )
        return made

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _show(self, key: Key) -> Json:
        """What has no finalizer ends with its deletion, and its Secrets with it."""
        body, metadata = self._bodies[key], self._bodies[key]["metadata"]
        metadata["resourceVersion"] = self._next()
        gone = bool(metadata.get("deletionTimestamp")) and not metadata.get("finalizers")
        self._store.see(self._kinds[key], deepcopy(body), deleted=gone)
        if gone:
            del self._bodies[key]
            for secret in list(self.secrets.values()):
                if any(owner["uid"] == metadata["uid"] for owner in secret.owner_references):
                    self._drop(secret)
        return deepcopy(body)

    def _drop(self, secret: Secret) -> None:
        key = secret.namespace, secret.name
        del self.secrets[key]
        if watch := self._watches.pop(key, None):
            self._store.see("Watch", watch, deleted=True)

    def _same(self, resource: Resource) -> dict[str, Any] | None:
        body = self._bodies.get(resource.key)
        return body if body and body["metadata"]["uid"] == resource.uid else None

    async def set_status(self, resource: Resource, status: dict[str, Any]) -> Json | None:
        if (body := self._same(resource)) is None:
            return None
        body["status"] = deepcopy(status)
        return self._show(resource.key)

    async def set_finalizers(self, resource: Resource, finalizers: Sequence[str]) -> Json | None:
        body = self._same(resource)
        if body is None or (body["metadata"].get("finalizers") or []) != resource.finalizers:
            return None
        body["metadata"]["finalizers"] = [*finalizers]
        return self._show(resource.key)

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        self.secret_reads += 1
        found = self.secrets.get((namespace, name))
        if found and name in self.rivals:
            self.rivals.remove(name)
            self.secrets[namespace, name] = replace(found, version=self._next())
        return found

    async def get_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.config_maps.get((namespace, name))

    async def create_secret(
        self, resource: Resource, name: str, data: Mapping[str, str], *, annotations: Json, owned: bool
    ) -> Secret | None:
        if (resource.namespace, name) in self.secrets:
            return None
        marks = {ANNOTATION_OWNER: f"{resource.kind}/{resource.name}", **annotations}
        owners = (resource.owner_reference,) if owned else ()
        return self._keep(resource.namespace, name, data, annotations=marks, owners=owners)

    async def update_secret(
        self,
        secret: Secret,
        *,
        data: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        owner_references: Sequence[Json] | None = None,
    ) -> Secret | None:
        key = secret.namespace, secret.name
        known = self.secrets.get(key)
        if known is None or (known.uid, known.version) != (secret.uid, secret.version):
            return None
        owners = known.owner_references if owner_references is None else tuple(owner_references)
        self.secrets[key] = replace(
            known,
            version=self._next(),
            data=_merged(known.data, data),
            annotations=_merged(known.annotations, annotations),
            owner_references=owners,
        )
        return self.secrets[key]

    async def delete_secret(self, secret: Secret) -> None:
        if self.secrets[secret.namespace, secret.name].uid == secret.uid:
            self._drop(secret)

    async def watch_secret(self, secret: Secret) -> Json:
        metadata = {
            "name": f"{secret.name}-landfall-watch",
            "namespace": secret.namespace,
            "uid": f"watch-{secret.uid}",
            "resourceVersion": self._next(),
            "annotations": {ANNOTATION_OWNER: secret.owner},
            "ownerReferences": [{"kind": "Secret", "name": secret.name, "uid": secret.uid}],
        }
        self._watches[secret.namespace, secret.name] = watch = {"metadata": metadata}
        return watch

    async def is_ending(self, namespace: str) -> bool:  # noqa: ARG002
        return False

    async def tell(self, resource: Resource, *, warning: bool, reason: str, message: str) -> None:  # noqa: ARG002
        self.events.append(f"{reason}: {message}")


def _merged(known: Mapping[str, str], changes: Mapping[str, str | None] | None) -> dict[str, str]:
    merged = {**known, **(changes or {})}
    return {key: text for key, text in merged.items() if text is not None}
