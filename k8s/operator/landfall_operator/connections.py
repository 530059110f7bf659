"""How a Bucket's store is reached: its keys and its CA, read from Secrets and ConfigMaps and kept for a while."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

from landfall_operator.kube import Kube
from landfall_operator.resource import Bucket, Json
from landfall_operator.s3.connection import Connection
from landfall_operator.s3.errors import StoreError

KEPT_SECONDS = 600.0


class Connections:
    """Kept, since a hundred Buckets mostly share one Secret, and since it may go before the Buckets do."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._kept: dict[str, tuple[Connection, float]] = {}

    async def of(self, bucket: Bucket) -> Connection:
        """Raises `StoreError` where a Secret or a key of it is missing."""
        kept, until = self._kept.get(_name(bucket), (None, 0.0))
        if kept and monotonic() < until:
            return kept
        try:
            read = await self._read(bucket)
        except StoreError:
            if kept and bucket.deleted_at:  # its namespace is deleted, perhaps, and the Secret went first
                return kept
            raise
        self._kept[_name(bucket)] = (read, monotonic() + KEPT_SECONDS)
        return read

    def stale(self, bucket: Bucket) -> None:
        """Read it anew next time."""
        if kept := self._kept.get(_name(bucket)):
            self._kept[_name(bucket)] = (kept[0], 0.0)

    async def _read(self, bucket: Bucket) -> Connection:
        store = bucket.spec["store"]
        keys = store["credentialsSecretRef"]
        secret = await self._kube.get_secret(bucket.namespace, keys["name"])
        data = _needed(secret.data if secret else None, f"Secret {keys['name']}", "the store's keys")
        ca = store.get("caBundleRef")
        return Connection(
            endpoint=store["endpoint"],
            region=store["region"],
            path_style=store["forcePathStyle"],
            access_key=_value(data, keys["accessKeyIdKey"], keys),
            secret_key=_value(data, keys["secretAccessKeyKey"], keys),
            ca_bundle=await self._certificates(bucket, ca) if ca else None,
        )

    async def _certificates(self, bucket: Bucket, ca: Json) -> str:
        data: Any
        if ca["kind"] == "Secret":
            secret = await self._kube.get_secret(bucket.namespace, ca["name"])
            data = secret.data if secret else None
        else:
            data = await self._kube.get_config_map(bucket.namespace, ca["name"])
        return _value(_needed(data, f"{ca['kind']} {ca['name']}", "the CA's certificate"), ca["key"], ca)


def _name(bucket: Bucket) -> str:
    return json.dumps([bucket.namespace, bucket.spec["store"]], sort_keys=True)


def _needed(data: Any, what: str, holding: str) -> Json:
    if data is None:
        message = f"There is no {what}, which should have {holding}. Create it, or correct spec.store."
        raise StoreError(reason="SecretMissing", message=message, transient=True)
    found: Json = data
    return found


def _value(data: Json, key: str, reference: Json) -> str:
    if not data.get(key):
        has = ", ".join(sorted(data)) or "none"
        message = (
            f"{reference['name']} has nothing under the key {key} (its keys: {has}). Add it, or correct spec.store."
        )
        raise StoreError(reason="SecretMissing", message=message, transient=True)
    return str(data[key]).strip()
