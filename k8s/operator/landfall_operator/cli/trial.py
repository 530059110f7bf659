"""Whether each access of a Bucket may do what its mode says, and nothing else: tried on the store itself."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from landfall_operator.s3.connection import Connection
from landfall_operator.s3.errors import StoreError, explained

FOLDER = ".landfall-test"
VERBS = ("PUT", "GET", "LIST", "DELETE")
ALLOWED = {"ReadOnly": {"GET", "LIST"}, "WriteOnly": {"PUT"}, "ReadWrite": set(VERBS)}
# These say nothing of an access: the store was not reached, or takes nobody's request.
OF_THE_STORE = {"ClockSkew", "WrongRegion", "StoreFailing"}


@dataclass(frozen=True, kw_only=True)
class Access:
    """One access of a Bucket, with the S3 client that has its keys."""

    name: str
    mode: str
    secret: str
    connection: Connection
    client: Any = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`word` is works, refused or WRONG; `why` says what is wrong."""

    word: str
    why: str = ""


@dataclass(kw_only=True)
class Trial:
    """Objects of its own under a folder of its own; `left` are those that are there still, by key and version."""

    bucket: str
    enforced: bool
    folder: str = field(default_factory=lambda: f"{FOLDER}/{secrets.token_hex(8)}")
    left: list[tuple[str, str | None]] = field(default_factory=list)
    errors: dict[tuple[str, str], StoreError | None] = field(default_factory=dict)

    def run(self, accesses: Sequence[Access]) -> None:
        """Every verb with every access; raises `StoreError` where the store itself is the trouble."""
        calls = {"PUT": self._put, "GET": self._get, "LIST": self._list, "DELETE": self._delete}
        for verb in VERBS:
            for access in accesses:
                error = None
                try:
                    with explained(access.connection, f"{verb} with the access {access.name}"):
                        calls[verb](access)
                except StoreError as raised:
                    error = raised
                if error and (not error.code or error.reason in OF_THE_STORE):
                    raise error
                self.errors[access.name, verb] = error

    def outcome(self, access: Access, verb: str) -> Outcome:
        return judged(
            self.errors[access.name, verb], access=access, allowed=not self.enforced or verb in ALLOWED[access.mode]
        )

    def clean(self, accesses: Sequence[Access]) -> None:
        """Remove what is left, with whoever may; what nobody may remove stays in `left`."""
        for access in sorted(accesses, key=lambda access: access.mode != "ReadWrite"):
            for key, version in list(self.left):
                try:
                    with explained(access.connection, "clean up"):
                        access.client.delete_object(Bucket=self.bucket, Key=key, **_version(version))
                    self.left.remove((key, version))
                except StoreError:
                    continue

    def _key(self, access: Access) -> str:
        return f"{self.folder}/{access.name}"

    def _any_key(self, access: Access) -> str:
        """One's own, or where one may put none, somebody else's: a missing one would tell less."""
        keys = [key for key, _ in self.left]
        return self._key(access) if self._key(access) in keys or not keys else keys[0]

    def _put(self, access: Access) -> None:
        answer = access.client.put_object(Bucket=self.bucket, Key=self._key(access), Body=self.folder.encode())
        self.left.append((self._key(access), answer.get("VersionId")))

    def _get(self, access: Access) -> None:
        try:
            answer = access.client.get_object(Bucket=self.bucket, Key=self._any_key(access))
        except access.client.exceptions.NoSuchKey:
            return  # only who may read is told so
        if answer["Body"].read() != self.folder.encode():
            raise StoreError(reason="InvalidByStore", message="what came back is not what was put", code="Changed")

    def _list(self, access: Access) -> None:
        access.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.folder}/")

    def _delete(self, access: Access) -> None:
        key = self._any_key(access)
        answer = access.client.delete_object(Bucket=self.bucket, Key=key)
        if answer.get("VersionId"):  # a marker, which is one more thing to remove
            self.left.append((key, answer["VersionId"]))
        else:
            self.left = [left for left in self.left if left[0] != key]


def judged(error: StoreError | None, *, access: Access, allowed: bool) -> Outcome:
    """Refused is what the store forbids; keys that it does not know are wrong whatever the mode."""
    if error is None:
        return (
            Outcome(word="works") if allowed else Outcome(word="WRONG", why=f"it works, and {access.mode} forbids it")
        )
    if error.reason == "AccessDenied":
        return Outcome(word="WRONG", why=f"it is refused ({error.code})") if allowed else Outcome(word="refused")
    if error.reason == "WrongKeys":
        return Outcome(
            word="WRONG", why=f"the store does not take the keys of the Secret {access.secret} ({error.code})"
        )
    return Outcome(word="WRONG", why=error.message)


def _version(version: str | None) -> dict[str, str]:
    return {"VersionId": version} if version else {}
