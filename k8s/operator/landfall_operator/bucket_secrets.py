"""The Secrets of a Bucket's accesses, and the accounts on the store that they hold the keys of."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from landfall_operator.bucket_access import ID, KEY, Keys, from_secret, from_status, outlived, secret_data
from landfall_operator.kube import Kube, Secret
from landfall_operator.resource import Bucket, Json, Key
from landfall_operator.s3.accounts import Access, Accounts, Ensured, NewKeys
from landfall_operator.s3.connection import Connection, minio_admin
from landfall_operator.s3.errors import StoreError, UnsupportedError
from landfall_operator.store import Store

UNSUPPORTED = (
    "The server has no accounts of MinIO's kind, so that no access can have keys of its own. "
    "Set spec.store.accounts to Shared to give each access the store's keys, with which no mode is enforced, "
    "or remove spec.access."
)

logger = logging.getLogger(__name__)

Call = Callable[..., Awaitable[Any]]  # a function in a thread for stores


class BucketSecrets:
    def __init__(self, store: Store, kube: Kube, call: Call) -> None:
        self._store = store
        self._kube = kube
        self._call = call
        self._known: dict[Key, dict[str, str]] = {}  # the secret keys by Bucket and access, so as to try them
        self._uids: dict[Key, dict[str, str]] = {}  # of the Secrets that were found or written last, by name

    async def ensure(self, bucket: Bucket, connection: Connection, *, well: bool, unchanged: bool) -> list[Keys]:
        """Have a Secret with working keys for each access.

        `well`: all has been as this spec has it for a while; `unchanged`: nor has anything happened to its Secrets.
        Raises `StoreError` for the store's troubles, and for a Secret that somebody else made.
        """
        wanted, now = bucket.spec.get("access") or [], datetime.now(UTC)
        if not wanted and not bucket.status.get("access"):
            return []
        scoped = bucket.spec["store"]["accounts"] == "Scoped"
        told = bucket.status.get("access")
        if well and unchanged and scoped:
            keys = from_status(bucket, now=now)
            known = self._known.get(bucket.key, {})
            if [each.status() for each in keys] == told and await self._sound(bucket, connection, keys, known):
                return keys
        secrets = await self._read(bucket)
        keys = [self._due(bucket, access, secrets[access["secretName"]], now) for access in wanted]
        made: Mapping[str, NewKeys] = {}
        if not scoped:
            ours = NewKeys(access_key=connection.access_key, secret_key=connection.secret_key)
            made = {each.name: ours for each in keys}
            await self.remove_accounts(bucket, connection)
        else:
            known = {
                each.name: secret.data.get(KEY, "")
                for each in keys
                if each.key_id and (secret := secrets[each.secret_name])
            }
            # What nobody wants any more is found by the whole look only, which is slow.
            same = well and [each.status() for each in keys] == told
            if not (same and await self._sound(bucket, connection, keys, known)):
                made = await self._ensure(bucket, connection, keys, known)
            # Keys that were replaced, since their Secret was edited, go on working for whoever has them, for a while.
            keys = [outlived(bucket, each, now=now) if each.name in made else each for each in keys]
        written = []
        for each in keys:
            new = made.get(each.name)
            try:
                written.append(await self._write(bucket, each, secrets[each.secret_name], new))
            except LookAgainError:
                if new and scoped:
                    await self._call(_discard, connection, new.access_key)
                raise
        await self._clear(bucket)
        return written

    async def _sound(
        self, bucket: Bucket, connection: Connection, keys: Sequence[Keys], known: Mapping[str, str]
    ) -> bool:
        try:
            return bool(await self._call(_sound, connection, bucket.spec["bucketName"], _wanted(keys, known)))
        except UnsupportedError:
            return False

    async def _ensure(
        self, bucket: Bucket, connection: Connection, keys: Sequence[Keys], known: Mapping[str, str]
    ) -> Mapping[str, NewKeys]:
        """The new keys, by access."""
        name = bucket.spec["bucketName"]
        try:
            ensured: Ensured = await self._call(_ensure, connection, name, _wanted(keys, known))
        except UnsupportedError as error:
            raise StoreError(reason="AccountsUnsupported", message=UNSUPPORTED, code=error.code) from None
        if ensured.changed:
            logger.info("%s/%s: accounts: %s", *bucket.key, ", ".join(ensured.changed))
        return ensured.created

    async def _read(self, bucket: Bucket) -> dict[str, Secret | None]:
        found = {}
        for access in bucket.spec.get("access") or []:
            name = access["secretName"]
            secret = await self._kube.get_secret(bucket.namespace, name)
            if secret and secret.owner != f"Bucket/{bucket.name}":
                raise StoreError(
                    reason="SecretForeign",
                    message=f"The Secret {name} is there already, and this Bucket did not make it. Delete it, "
                    f"or name another secretName for the access {access['name']}.",
                )
            found[name] = secret
        return found

    def _due(self, bucket: Bucket, access: Json, secret: Secret | None, now: datetime) -> Keys:
        data, annotations = (secret.data, secret.annotations) if secret else (None, {})
        return from_secret(bucket, access, data, annotations, now=now)

    async def _write(self, bucket: Bucket, keys: Keys, secret: Secret | None, made: NewKeys | None) -> Keys:
        old = secret.data if secret else {}
        key_id, secret_key = (made.access_key, made.secret_key) if made else (old[ID], old[KEY])
        keys = replace(keys, key_id=key_id)
        data, annotations = secret_data(bucket, key_id, secret_key), keys.marks.annotations()
        written = (
            await self._kube.create_secret(
                bucket,
                keys.secret_name,
                data,
                annotations={key: value for key, value in annotations.items() if value is not None},
                owned=bucket.owed,
            )
            if secret is None
            else await self._update(bucket, secret, data, annotations)
        )
        if written is None:
            raise LookAgainError(f"the Secret {keys.secret_name} was changed by somebody else just now")
        if self._store.secret_uid(bucket.namespace, written.name) != written.uid:
            self._store.see("Watch", await self._kube.watch_secret(written), deleted=False)
        self._known.setdefault(bucket.key, {})[keys.name] = secret_key
        self._uids.setdefault(bucket.key, {})[written.name] = written.uid
        return keys

    async def _update(
        self, bucket: Bucket, secret: Secret, data: Mapping[str, str], annotations: Mapping[str, str | None]
    ) -> Secret | None:
        changed: dict[str, str | None] = {key: text for key, text in data.items() if secret.data.get(key) != text}
        changed |= dict.fromkeys(secret.data.keys() - data.keys())
        marks = {key: text for key, text in annotations.items() if secret.annotations.get(key) != text}
        others = [owner for owner in secret.owner_references if owner["kind"] != bucket.kind]
        owners = [*others, bucket.owner_reference] if bucket.owed else others
        same = [owner["uid"] for owner in owners] == [owner["uid"] for owner in secret.owner_references]
        if not changed and not marks and same:
            return secret
        return await self._kube.update_secret(
            secret, data=changed or None, annotations=marks or None, owner_references=None if same else owners
        )

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)
        self._uids.pop(key, None)

    def uids(self, key: Key) -> Mapping[str, str]:
        return self._uids.get(key, {})

    async def remove_accounts(self, bucket: Bucket, connection: Connection) -> None:
        """Those that the Bucket has, or had before its accesses were to share the store's own keys."""
        told = bucket.status.get("access") or []
        given = any(entry.get("accessKeyId") not in {None, connection.access_key} for entry in told)
        scoped = bucket.spec["store"]["accounts"] == "Scoped"
        if not (given or (scoped and bucket.spec.get("access"))):
            return
        try:
            await self._call(_remove, connection, bucket.spec["bucketName"])
        except StoreError as error:
            if scoped or error.transient:  # whoever may not remove accounts has made none
                raise

    async def let_go(self, bucket: Bucket) -> None:
        """Have its Secrets stay when it goes."""
        for entry in bucket.status.get("access") or []:
            secret = await self._kube.get_secret(bucket.namespace, entry["secretName"])
            if secret and secret.owner == f"Bucket/{bucket.name}":
                others = [owner for owner in secret.owner_references if owner["uid"] != bucket.uid]
                changes = len(others) < len(secret.owner_references)
                if changes and await self._kube.update_secret(secret, owner_references=others) is None:
                    raise LookAgainError(f"the Secret {secret.name} was changed by somebody else just now")

    async def _clear(self, bucket: Bucket) -> None:
        """Delete the Secrets of accesses that the spec names no more."""
        wanted = {access["secretName"] for access in bucket.spec.get("access") or []}
        for entry in bucket.status.get("access") or []:
            if entry["secretName"] not in wanted:
                secret = await self._kube.get_secret(bucket.namespace, entry["secretName"])
                if secret and secret.owner == f"Bucket/{bucket.name}":
                    await self._kube.delete_secret(secret)


def _wanted(keys: Sequence[Keys], known: Mapping[str, str]) -> list[Access]:
    """`known` are the secret keys, by access."""
    return [
        Access(
            name=each.name,
            mode=each.mode,
            access_key=each.key_id,
            secret_key=known.get(each.name),
            previous=each.marks.previous,
        )
        for each in keys
    ]


def _sound(connection: Connection, bucket: str, wanted: Sequence[Access]) -> bool:
    with minio_admin(connection) as admin:
        return Accounts(admin, connection).sound(bucket, wanted)


def _ensure(connection: Connection, bucket: str, wanted: Sequence[Access]) -> Ensured:
    with minio_admin(connection) as admin:
        return Accounts(admin, connection).ensure(bucket, wanted)


def _discard(connection: Connection, access_key: str) -> None:
    with minio_admin(connection) as admin:
        Accounts(admin, connection).discard(access_key)


def _remove(connection: Connection, bucket: str) -> None:
    """A server that has none has none to remove."""
    with minio_admin(connection) as admin:
        Accounts(admin, connection).remove(bucket)


class LookAgainError(Exception):
    """What was read is old by now."""
