"""The accounts that use a bucket, by MinIO's admin API: a user for the bucket, and a key of it for each access.

No password of that user is kept: it owns the keys and what they may at most, and nobody logs in as it.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from landfall_operator.s3.connection import SEALED, Connection, minio_admin
from landfall_operator.s3.errors import WRONG_KEYS, StoreError, UnsupportedError, explained

if TYPE_CHECKING:
    from minio import MinioAdmin

Mode = Literal["ReadOnly", "ReadWrite", "WriteOnly"]

ACCESS_KEY_CHARACTERS = string.ascii_uppercase + string.digits
ACCESS_KEY_LENGTH = 20
SECRET_KEY_LENGTH = 40
NO_USER = "XMinioAdminNoSuchUser"
NO_POLICY = "XMinioAdminNoSuchPolicy"
POLICY_IN_USE = "XMinioIAMPolicyInUse"
NO_ACCOUNT = "XMinioInvalidIAMCredentials"

READ = {"bucket": {"ListBucket"}, "objects": {"GetObject", "GetObjectVersion"}}
WRITE = {"bucket": set[str](), "objects": {"PutObject", "AbortMultipartUpload", "ListMultipartUploadParts"}}
MANAGE = {
    "bucket": {"ListBucketVersions", "ListBucketMultipartUploads"},
    "objects": {"DeleteObject", "DeleteObjectVersion"},
}
RIGHTS: Mapping[Mode, Sequence[Mapping[str, set[str]]]] = {
    "ReadOnly": [READ],
    "WriteOnly": [WRITE],
    "ReadWrite": [READ, WRITE, MANAGE],
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """One user of the bucket and the keys that it has; `access_key` None asks for new ones."""

    name: str
    mode: Mode
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)  # where given, it is tried
    previous: str | None = None  # an access key that is to work for a while yet


@dataclass(frozen=True, kw_only=True)
class NewKeys:
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Ensured:
    """What was done: new keys by the access's name, and the rest in words for an Event."""

    created: Mapping[str, NewKeys]
    changed: tuple[str, ...]


def user_name(bucket: str) -> str:
    return f"landfall-{bucket}"


def policy(bucket: str, mode: Mode) -> dict[str, Any]:
    """What a mode may do, on this bucket only."""
    on_bucket = {"GetBucketLocation"}.union(*(rights["bucket"] for rights in RIGHTS[mode]))
    on_objects = set[str]().union(*(rights["objects"] for rights in RIGHTS[mode]))
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [_allow(on_bucket, arn), _allow(on_objects, f"{arn}/*")],
    }


def _allow(actions: Iterable[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": sorted(f"s3:{action}" for action in actions), "Resource": [resource]}


def same_policy(one: Any, other: Any) -> bool:
    """Whether two policies say the same, in whichever order."""
    return _statements(one) == _statements(other)


def _statements(document: Any) -> list[str]:
    statements = (document or {}).get("Statement") or []
    return sorted(json.dumps({name: _sorted(v) for name, v in one.items()}, sort_keys=True) for one in statements)


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


class Accounts:
    """The accounts of buckets on one server, made and mended by `admin`; raises `StoreError`."""

    def __init__(self, admin: MinioAdmin, connection: Connection) -> None:
        self._admin = admin
        self._connection = connection

    def sound(self, bucket: str, wanted: Sequence[Access]) -> bool:
        """Whether all is as wanted, as far as one request and another for each access with a `secret_key` can tell.

        What they cannot: keys that nobody wants, and of what a key may do anything but whether it may write.
        """
        try:
            user = self._user(bucket)
        except UnsupportedError:
            if wanted:
                raise
            return True
        if not wanted:
            return user is None
        if user is None or user.get("status") != "enabled" or user.get("policyName") != user_name(bucket):
            return False
        return all(self._works(bucket, access) for access in wanted)

    def ensure(self, bucket: str, wanted: Sequence[Access]) -> Ensured:
        """Make it as wanted, and remove what nobody wants.

        Keys that the server does not know, or not with this secret, are replaced by new ones.
        """
        if not wanted:
            return Ensured(created={}, changed=("accounts removed",) if self.remove(bucket) else ())
        self._refuse_itself(bucket)
        user = self._user(bucket)
        changed = self._ensure_policy(bucket, user or {})
        password = self._set_password(bucket) if user is None else None
        changed += self._ensure_user(bucket, user or {"status": "enabled"})
        there = self._list(bucket) if user is not None else {}
        kept = {
            key: one for one in wanted for key in (one.access_key, one.previous) if key is not None and key in there
        }
        for key in there.keys() - kept.keys():
            self.discard(key)
            changed.append(f"key {key} removed")
        changed += [f"key {key} repaired" for key, one in kept.items() if self._repair(bucket, key, there[key], one)]
        missing = [one for one in wanted if one.access_key not in there or not self._opens(one)]
        created = self._create(bucket, missing, password or self._set_password(bucket)) if missing else {}
        return Ensured(created=created, changed=tuple(changed))

    def remove(self, bucket: str) -> bool:
        """Remove the bucket's user, its keys with it, and its policy; False where there was none."""
        self._refuse_itself(bucket)
        try:
            with explained(self._connection, f"remove the accounts of the bucket {bucket}"):
                self._admin.user_remove(user_name(bucket))
            found = True
        except UnsupportedError:
            return False
        except StoreError as error:
            if error.code != NO_USER:
                raise
            found = False
        try:
            with explained(self._connection, f"remove the policy of the bucket {bucket}"):
                self._admin.policy_remove(user_name(bucket))
        except StoreError as error:
            if error.code != POLICY_IN_USE:  # somebody gave it to another user as well, and keeps it
                raise
        return found

    def discard(self, key: str) -> None:
        """Delete a key, where it is there."""
        try:
            with explained(self._connection, f"delete the key {key}"):
                self._admin.delete_service_account(key)
        except StoreError as error:
            if error.code != NO_ACCOUNT:
                raise

    def _works(self, bucket: str, access: Access) -> bool:
        if access.access_key is None:
            return False
        if access.secret_key is None:
            return True
        info = account_info(self._connection, access.access_key, access.secret_key)
        write = [one["access"]["write"] for one in (info or {}).get("Buckets") or [] if one["name"] == bucket]
        return (
            info is not None
            and info["AccountName"] == user_name(bucket)
            and same_policy(info["Policy"], policy(bucket, "ReadWrite"))
            and write == [access.mode != "ReadOnly"]
        )

    def _opens(self, access: Access) -> bool:
        if access.access_key is None or access.secret_key is None:
            return True
        return verify(self._connection, access.access_key, access.secret_key)

    def _user(self, bucket: str) -> dict[str, Any] | None:
        try:
            with explained(self._connection, f"read the user {user_name(bucket)}"):
                found: dict[str, Any] = json.loads(self._admin.user_info(user_name(bucket)))
        except StoreError as error:
            if error.code == NO_USER:
                return None
            raise
        return found

    def _refuse_itself(self, bucket: str) -> None:
        if self._connection.access_key == user_name(bucket):
            raise _foreign(bucket, "is the operator's own")

    def _ensure_policy(self, bucket: str, user: Mapping[str, Any]) -> list[str]:
        """The user's own, which bounds whatever its keys may do, and shows that the user is ours."""
        name, wanted = user_name(bucket), policy(bucket, "ReadWrite")
        try:
            with explained(self._connection, f"read the policy {name}"):
                found = json.loads(self._admin.policy_info(name))
        except StoreError as error:
            if error.code != NO_POLICY:
                raise
            found = None
        if found is None and user.get("policyName") not in {None, "", name}:
            raise _foreign(bucket, "was made by somebody else")
        if same_policy(found, wanted):
            return []
        with explained(self._connection, f"write the policy {name}"):
            self._admin.policy_add(name, policy=wanted)
        return ["policy written"]

    def _ensure_user(self, bucket: str, user: Mapping[str, Any]) -> list[str]:
        name, changed = user_name(bucket), []
        if user.get("status") != "enabled":
            with explained(self._connection, f"enable the user {name}"):
                self._admin.user_enable(name)
            changed.append("user enabled")
        if user.get("policyName") != name:
            with explained(self._connection, f"give the user {name} its policy"):
                self._admin.policy_set(name, user=name)
            changed.append("policy bound")
        return changed

    def _set_password(self, bucket: str) -> str:
        password = secrets.token_urlsafe(SECRET_KEY_LENGTH)[:SECRET_KEY_LENGTH]
        with explained(self._connection, f"make the user {user_name(bucket)}"), SEALED.closed():
            self._admin.user_add(user_name(bucket), password)
        return password

    def _list(self, bucket: str) -> dict[str, dict[str, Any]]:
        with explained(self._connection, f"list the keys of the user {user_name(bucket)}"), SEALED.closed():
            found = json.loads(self._admin.list_service_account(user_name(bucket)))
        return {one["accessKey"]: one for one in found.get("accounts") or []}

    def _repair(self, bucket: str, key: str, listed: Mapping[str, Any], access: Access) -> bool:
        wanted = policy(bucket, access.mode)
        if listed["accountStatus"] == "on" and not listed["impliedPolicy"]:
            with explained(self._connection, f"read the key {key}"), SEALED.closed():
                found = json.loads(self._admin.get_service_account(key))
            if same_policy(json.loads(found["policy"]), wanted):
                return False
        # Both at once: a status alone takes the policy away, which leaves the key with all that the user may.
        with explained(self._connection, f"repair the key {key}"), SEALED.closed():
            self._admin.update_service_account(access_key=key, status="on", policy=wanted)
        return True

    def _create(self, bucket: str, missing: Iterable[Access], password: str) -> dict[str, NewKeys]:
        """As the user itself, by a password of the moment: a key belongs to whoever makes it."""
        user = replace(self._connection, access_key=user_name(bucket), secret_key=password)
        created = {}
        with minio_admin(user) as admin:
            for access in missing:
                keys = new_keys()
                try:
                    with explained(self._connection, f"make a key for the access {access.name}"), SEALED.closed():
                        admin.add_service_account(
                            access_key=keys.access_key,
                            secret_key=keys.secret_key,
                            description=f"landfall: {access.name}",
                            policy=policy(bucket, access.mode),
                        )
                except StoreError as error:
                    raise _not_everywhere(error) from None
                created[access.name] = keys
        return created


def _foreign(bucket: str, whose: str) -> StoreError:
    text = f"The store's account {user_name(bucket)}, which the keys for {bucket} would belong to, {whose}."
    remedy = "Give that one another name, or take another bucketName."
    return StoreError(reason="AccountForeign", message=f"{text} {remedy}")


def _not_everywhere(error: StoreError) -> StoreError:
    if error.reason != "WrongKeys":
        return error
    text = "The bucket's new user is not known on every node of the store yet. It is tried again."
    return StoreError(reason="StoreFailing", message=text, transient=True, code=error.code)


def new_keys() -> NewKeys:
    return NewKeys(
        access_key="".join(secrets.choice(ACCESS_KEY_CHARACTERS) for _ in range(ACCESS_KEY_LENGTH)),
        secret_key=secrets.token_urlsafe(SECRET_KEY_LENGTH)[:SECRET_KEY_LENGTH],
    )


def verify(connection: Connection, access_key: str, secret_key: str) -> bool:
    """Whether these keys log in; one request."""
    return account_info(connection, access_key, secret_key) is not None


def account_info(connection: Connection, access_key: str, secret_key: str) -> dict[str, Any] | None:
    """What a key may do and how full its buckets are, asked with that key; None where the server refuses it."""
    keys = replace(connection, access_key=access_key, secret_key=secret_key)
    try:
        with explained(connection, f"log in with the key {access_key}"), minio_admin(keys) as admin:
            found: dict[str, Any] = json.loads(admin.account_info())
    except StoreError as error:
        if error.code in WRONG_KEYS:
            return None
        raise
    return found
