"""`landfall-operator s3-check`: what a server can do of what Bucket offers, tried on a bucket of its own."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from landfall_operator.s3 import buckets
from landfall_operator.s3.accounts import RIGHTS, Access, Accounts, Mode, NewKeys
from landfall_operator.s3.connection import Connection, Stores, minio_admin
from landfall_operator.s3.errors import KEYS, StoreError, UnsupportedError, explained
from landfall_operator.s3.features import ensure_cors, ensure_lifecycle, ensure_quota, ensure_versioning, usage
from landfall_operator.s3.ownership import Owner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEEDED = {"create a bucket", "put and list", "delete a bucket"}
PURGE_SECONDS = 30
OWNER = Owner(bucket="check/check", uid="00000000-0000-0000-0000-000000000000", cluster="check")
# The remedies speak of a Bucket's spec; here it is the command's options that can be corrected.
OPTIONS = {
    KEYS: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "what spec.store.caBundleRef names": "the file of --ca-file",
    "spec.store.caBundleRef": "--ca-file",
    "spec.store.endpoint": "--endpoint",
    "spec.store.region": "--region",
}


class FailedError(Exception):
    """The server did it, but otherwise than S3 does."""


@dataclass(frozen=True, kw_only=True)
class Line:
    feature: str
    answer: str
    note: str = ""


def main(arguments: Sequence[str]) -> int:
    """0 where the server can do what every Bucket needs, 1 where it cannot, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="landfall-operator s3-check",
        description="Try what an S3-compatible server can do of what Bucket offers, on a bucket of its own. "
        "The keys are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    parser.add_argument("--endpoint", required=True, help="such as http://minio:9000")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument(
        "--virtual-host", action="store_true", help="the bucket's name is in the host name, as AWS wants"
    )
    parser.add_argument("--ca-file", type=Path, help="PEM certificates that the server is checked against")
    options = parser.parse_args(arguments)
    access_key, secret_key = (os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if not access_key or not secret_key:
        parser.error("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set: give keys that may make buckets")
    try:
        ca_bundle = options.ca_file.read_text() if options.ca_file else None
    except OSError as error:
        parser.error(f"--ca-file: {error}")
    connection = Connection(
        endpoint=options.endpoint.rstrip("/"),
        region=options.region,
        path_style=not options.virtual_host,
        access_key=access_key,
        secret_key=secret_key,
        ca_bundle=ca_bundle,
    )
    lines = Check(connection).run()
    sys.stdout.write("\n".join(table(lines)) + "\n")
    return 0 if {line.feature for line in lines if line.answer == "yes"} >= NEEDED else 1


def table(lines: Sequence[Line]) -> list[str]:
    rows = [("FEATURE", "WORKS", "NOTE"), *((line.feature, line.answer, line.note) for line in lines)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"{feature:{first}}  {answer:{second}}  {note}".rstrip() for feature, answer, note in rows]


class Check:
    """One go at one server; whatever it made there is gone at the end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stores = Stores()
        self._bucket = f"landfall-check-{secrets.token_hex(6)}"
        self._lines: list[Line] = []
        self._keys: dict[str, NewKeys] = {}

    def run(self) -> list[Line]:
        try:
            self._try_all()
        finally:
            self._clean_up()
            self._stores.close()
        return self._lines

    def _try_all(self) -> None:
        if not self._try("create a bucket", self._create):
            return
        self._try("ownership (bucket tags)", self._claim)
        self._try("put and list", self._put_and_list)
        self._try("versioning", self._versioning)
        self._try("lifecycle", self._lifecycle)
        self._try("lifecycle abortUploadsAfterDays", self._aborts)
        self._try("cors", self._cors)
        self._try("quota", self._quota)
        if self._try("accounts: Scoped", self._accounts):
            for mode in RIGHTS:
                self._try(f"access mode {mode}", lambda mode=mode: self._mode(mode))  # type: ignore[misc]
        self._try("Delete keeps a full bucket", self._keeps)
        self._try("Purge (versions, uploads)", self._purge)
        self._try("delete a bucket", self._delete)

    def _try(self, feature: str, step: Callable[[], str | None]) -> bool:
        try:
            line = Line(feature=feature, answer="yes", note=step() or "")
        except UnsupportedError as error:
            line = Line(feature=feature, answer="no", note=f"the server has it not ({error.code})")
        except (StoreError, FailedError) as error:
            line = Line(feature=feature, answer="no", note=_in_options(str(error)))
        self._lines.append(line)
        return line.answer == "yes"

    @property
    def _client(self) -> S3Client:
        return self._stores.client(self._connection)

    def _create(self) -> None:
        buckets.create(self._client, self._connection, self._bucket)

    def _claim(self) -> None:
        seen = buckets.look(self._client, self._connection, self._bucket)
        if seen.tags is None:
            raise FailedError("no tags: only a Bucket's status knows what is its own")
        buckets.claim(self._client, self._connection, self._bucket, seen, OWNER, "Created")
        if buckets.look(self._client, self._connection, self._bucket).owner != OWNER:
            raise FailedError("the tags come back otherwise than they were written")

    def _put_and_list(self) -> None:
        with explained(self._connection, "put and list an object"):
            self._client.put_object(Bucket=self._bucket, Key="check/one", Body=b"1")
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix="check/").get("Contents") or []
        if [one["Key"] for one in found] != ["check/one"]:
            raise FailedError("the object that was put is not in the list")

    def _versioning(self) -> None:
        ensure_versioning(self._client, self._connection, self._bucket, "Enabled")
        if ensure_versioning(self._client, self._connection, self._bucket, "Enabled"):
            raise FailedError("it does not stay")

    def _lifecycle(self) -> None:
        rules = [
            {"id": "b", "prefix": "tmp/", "expireAfterDays": 7},
            {"id": "a", "expireAfterDays": 30, "expireNoncurrentAfterDays": 3},
        ]
        ensure_lifecycle(self._client, self._connection, self._bucket, rules)
        if ensure_lifecycle(self._client, self._connection, self._bucket, rules).changed:
            raise FailedError("the rules come back otherwise than they were written")

    def _aborts(self) -> None:
        rules = [{"id": "uploads", "abortUploadsAfterDays": 7}]
        if not ensure_lifecycle(self._client, self._connection, self._bucket, rules).aborts:
            raise FailedError("refused or forgotten; other rules work. MinIO removes them by itself after a day")

    def _cors(self) -> None:
        rules = [{"allowedOrigins": ["https://example.com"], "allowedMethods": ["GET", "PUT"], "maxAgeSeconds": 60}]
        ensure_cors(self._client, self._connection, self._bucket, rules)
        if ensure_cors(self._client, self._connection, self._bucket, rules):
            raise FailedError("the rules come back otherwise than they were written")

    def _quota(self) -> str:
        ensure_quota(self._connection, self._bucket, 2**30)
        if ensure_quota(self._connection, self._bucket, 2**30):
            raise FailedError("it does not stay")
        return f"the use was last counted at {usage(self._connection, self._bucket).used_at or 'no time yet'}"

    def _accounts(self) -> None:
        wanted = [Access(name=mode.lower(), mode=mode) for mode in RIGHTS]
        with minio_admin(self._connection) as admin:
            self._keys = dict(Accounts(admin, self._connection).ensure(self._bucket, wanted).created)

    def _mode(self, mode: Mode) -> None:
        keys = self._keys[mode.lower()]
        connection = replace(self._connection, access_key=keys.access_key, secret_key=keys.secret_key)
        client, bucket, key = self._stores.client(connection), self._bucket, "check/one"
        allowed: dict[str, tuple[Callable[[], object], bool]] = {
            "get": (lambda: client.get_object(Bucket=bucket, Key=key), mode != "WriteOnly"),
            "list": (lambda: client.list_objects_v2(Bucket=bucket), mode != "WriteOnly"),
            "put": (lambda: client.put_object(Bucket=bucket, Key=key, Body=b"2"), mode != "ReadOnly"),
            "delete": (lambda: client.delete_object(Bucket=bucket, Key="check/none"), mode == "ReadWrite"),
        }
        for verb, (call, right) in allowed.items():
            try:
                with explained(connection, verb):
                    call()
                may = True
            except StoreError as error:
                if error.reason != "AccessDenied":
                    raise
                may = False
            if may != right:
                raise FailedError(f"{verb} is {'allowed' if may else 'refused'}")

    def _keeps(self) -> None:
        if buckets.remove(self._client, self._connection, self._bucket):
            raise FailedError("a bucket with objects was deleted")

    def _purge(self) -> None:
        with explained(self._connection, "begin an upload"):
            self._client.create_multipart_upload(Bucket=self._bucket, Key="check/upload")
            self._client.put_object(Bucket=self._bucket, Key="check/one", Body=b"3")
        buckets.empty(self._client, self._connection, self._bucket, seconds=PURGE_SECONDS)
        with explained(self._connection, "list what is left"):
            left = self._client.list_objects_v2(Bucket=self._bucket)["KeyCount"]
            uploads = self._client.list_multipart_uploads(Bucket=self._bucket).get("Uploads") or []
        if left or uploads:
            raise FailedError(f"{left} objects and {len(uploads)} uploads are left")

    def _delete(self) -> None:
        if not buckets.remove(self._client, self._connection, self._bucket):
            raise FailedError("it is said not to be empty after a purge")
        if buckets.look(self._client, self._connection, self._bucket).exists:
            raise FailedError("it is still there")

    def _clean_up(self) -> None:
        """What is there after a failure; a server that is gone keeps it, which the table's last lines then explain."""
        with suppress(StoreError), minio_admin(self._connection) as admin:
            Accounts(admin, self._connection).remove(self._bucket)
        with suppress(StoreError):
            if buckets.look(self._client, self._connection, self._bucket).exists:
                buckets.empty(self._client, self._connection, self._bucket, seconds=PURGE_SECONDS)
                buckets.remove(self._client, self._connection, self._bucket)


def _in_options(text: str) -> str:
    for theirs, ours in OPTIONS.items():
        text = text.replace(theirs, ours)
    return text
