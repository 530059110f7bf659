"""Each access of a bucket has keys that can do what its mode says, and nobody else has any."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from landfall_operator.s3.accounts import (
    RIGHTS,
    Access,
    Accounts,
    Ensured,
    Mode,
    NewKeys,
    account_info,
    policy,
    user_name,
    verify,
)
from landfall_operator.s3.connection import Connection, Stores, minio_admin
from landfall_operator.s3.errors import StoreError, UnsupportedError, explained

if TYPE_CHECKING:
    from minio import MinioAdmin
    from mypy_boto3_s3 import S3Client

MakeBucket = Callable[[Connection], tuple["S3Client", str]]
READER = Access(name="reader", mode="ReadOnly")
WRITER = Access(name="writer", mode="WriteOnly")
LISTED_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Server:
    """MinIO with one bucket that has one object, "there"."""

    store: Connection
    stores: Stores
    admin: MinioAdmin
    accounts: Accounts
    bucket: str

    def ensure(self, *wanted: Access) -> Ensured:
        return self.accounts.ensure(self.bucket, wanted)

    def sound(self, *wanted: Access) -> bool:
        return self.accounts.sound(self.bucket, wanted)

    def client(self, access: Access) -> S3Client:
        return self.stores.client(
            replace(self.store, access_key=access.access_key or "", secret_key=access.secret_key or "")
        )

    def may(self, access: Access, verb: str) -> bool:
        client, bucket = self.client(access), self.bucket

        def upload() -> None:
            begun = client.create_multipart_upload(Bucket=bucket, Key="u")
            client.abort_multipart_upload(Bucket=bucket, Key="u", UploadId=begun["UploadId"])

        verbs: dict[str, Callable[[], object]] = {
            "get": lambda: client.get_object(Bucket=bucket, Key="there"),
            "list": lambda: client.list_objects_v2(Bucket=bucket),
            "put": lambda: client.put_object(Bucket=bucket, Key="new", Body=b"x"),
            "upload": upload,
            "delete": lambda: client.delete_object(Bucket=bucket, Key="there"),
            "versions": lambda: client.list_object_versions(Bucket=bucket),
            "policy": lambda: client.get_bucket_policy(Bucket=bucket),
            "remove": lambda: client.delete_bucket(Bucket=bucket),
        }
        try:
            with explained(self.store, verb):
                verbs[verb]()
        except StoreError as error:
            if error.reason != "AccessDenied":
                raise
            return False
        return True


def with_keys(access: Access, keys: NewKeys) -> Access:
    return replace(access, access_key=keys.access_key, secret_key=keys.secret_key)


def made(server: Server, *wanted: Access) -> list[Access]:
    """The same accesses, with the keys that they got."""
    created = server.ensure(*wanted).created
    return [with_keys(access, created[access.name]) for access in wanted]


def wait_until_listed(store: Connection, bucket: str) -> None:
    """MinIO's account info has a list of buckets that is up to a second old; a key with none counts as broken."""
    deadline = monotonic() + LISTED_SECONDS
    while info := account_info(store, store.access_key, store.secret_key):
        if bucket in {one["name"] for one in info["Buckets"] or []}:
            return
        assert monotonic() < deadline
        sleep(0.05)


@pytest.fixture
def server(minio_server: Connection, make_bucket: MakeBucket, stores: Stores) -> Iterator[Server]:
    client, bucket = make_bucket(minio_server)
    client.put_object(Bucket=bucket, Key="there", Body=b"x")
    wait_until_listed(minio_server, bucket)
    with minio_admin(minio_server) as admin:
        accounts = Accounts(admin, minio_server)
        yield Server(store=minio_server, stores=stores, admin=admin, accounts=accounts, bucket=bucket)
        accounts.remove(bucket)


@pytest.mark.parametrize(
    ("mode", "verbs"),
    [
        ("ReadOnly", {"get", "list", "versions"}),  # to MinIO, who may list may list versions
        ("WriteOnly", {"put", "upload"}),
        ("ReadWrite", {"get", "list", "put", "upload", "delete", "versions"}),
    ],
)
def test_a_mode_allows_its_verbs_and_no_other(server: Server, mode: Mode, verbs: set[str]) -> None:
    (access,) = made(server, Access(name="app", mode=mode))
    tried = ["get", "list", "put", "upload", "versions", "policy", "remove", "delete"]
    assert {verb for verb in tried if server.may(access, verb)} == verbs


def test_keys_of_one_bucket_open_no_other(server: Server, make_bucket: MakeBucket) -> None:
    (access,) = made(server, Access(name="app", mode="ReadWrite"))
    _, other = make_bucket(server.store)
    with pytest.raises(StoreError) as caught, explained(server.store, "list"):
        server.client(access).list_objects_v2(Bucket=other)
    assert caught.value.reason == "AccessDenied"


def test_what_is_as_wanted_is_left_as_it_is(server: Server) -> None:
    reader, writer = made(server, READER, WRITER)
    assert server.sound(reader, writer)
    assert server.ensure(reader, writer) == Ensured(created={}, changed=())


def test_a_key_that_is_gone_is_replaced(server: Server) -> None:
    reader, writer = made(server, READER, WRITER)
    server.admin.delete_service_account(reader.access_key or "")
    assert not server.sound(reader, writer)
    created = server.ensure(reader, writer).created
    assert list(created) == ["reader"]
    assert server.may(with_keys(reader, created["reader"]), "get")


def test_a_key_whose_secret_is_another_is_replaced(server: Server) -> None:
    (reader,) = made(server, READER)
    spoilt = replace(reader, secret_key="x" * 40)
    assert not server.sound(spoilt)
    assert list(server.ensure(spoilt).created) == ["reader"]


Drift = Callable[[Server, Access], object]
DRIFTS: dict[str, Drift] = {
    "key disabled": lambda server, one: server.admin.update_service_account(
        access_key=one.access_key or "", status="off"
    ),
    "key may write": lambda server, one: server.admin.update_service_account(
        access_key=one.access_key or "", policy=policy(server.bucket, "ReadWrite")
    ),
    "user disabled": lambda server, _: server.admin.user_disable(user_name(server.bucket)),
    "user may less": lambda server, _: server.admin.policy_add(
        user_name(server.bucket), policy=policy(server.bucket, "WriteOnly")
    ),
    "user has another policy": lambda server, _: server.admin.policy_set("readwrite", user=user_name(server.bucket)),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_somebody_changed_is_seen_and_repaired_with_the_same_keys(server: Server, drift: str) -> None:
    (reader,) = made(server, READER)
    DRIFTS[drift](server, reader)
    assert not server.sound(reader)
    ensured = server.ensure(reader)
    assert not ensured.created
    assert ensured.changed
    assert server.sound(reader)
    assert server.may(reader, "get")
    assert not server.may(reader, "put")


def test_a_new_mode_keeps_the_keys(server: Server) -> None:
    (reader,) = made(server, READER)
    writer = replace(reader, mode="WriteOnly")
    assert not server.ensure(writer).created
    assert (server.may(writer, "put"), server.may(writer, "get")) == (True, False)


def test_a_key_that_nobody_wants_is_deleted(server: Server) -> None:
    reader, writer = made(server, READER, WRITER)
    assert server.ensure(reader).changed == (f"key {writer.access_key} removed",)
    assert not verify(server.store, writer.access_key or "", writer.secret_key or "")


def test_a_rotation_makes_new_keys_and_the_old_ones_work_as_long_as_they_are_wanted(server: Server) -> None:
    (old,) = made(server, READER)
    asked = replace(READER, previous=old.access_key)
    new = with_keys(asked, server.ensure(asked).created["reader"])
    assert new.access_key != old.access_key
    assert server.may(old, "get")
    assert server.may(new, "get")
    server.ensure(replace(new, previous=None))
    assert not verify(server.store, old.access_key or "", old.secret_key or "")
    assert server.may(new, "get")


def test_nothing_is_left_of_a_bucket_whose_accounts_are_removed(server: Server) -> None:
    (reader,) = made(server, READER)
    assert server.accounts.remove(server.bucket)
    assert not verify(server.store, reader.access_key or "", reader.secret_key or "")
    assert user_name(server.bucket) not in server.admin.user_list()
    assert user_name(server.bucket) not in server.admin.policy_list()
    assert not server.accounts.remove(server.bucket)


def test_a_bucket_whose_policy_somebody_gave_away_can_be_removed(server: Server) -> None:
    made(server, READER)
    other = f"other-{uuid.uuid4().hex[:8]}"
    server.admin.user_add(other, "another-password")
    server.admin.policy_set(user_name(server.bucket), user=other)
    assert server.accounts.remove(server.bucket)
    server.admin.user_remove(other)


def test_no_access_wanted_means_no_account(server: Server) -> None:
    made(server, READER)
    assert not server.sound()
    assert server.ensure() == Ensured(created={}, changed=("accounts removed",))
    assert server.sound()


def test_names_of_the_greatest_length_are_taken(server: Server) -> None:
    bucket = f"{'a.b' * 20}{uuid.uuid4().hex[:3]}"
    server.stores.client(server.store).create_bucket(Bucket=bucket)
    created = server.accounts.ensure(bucket, [Access(name="0" * 40, mode="ReadOnly")]).created
    assert verify(server.store, created["0" * 40].access_key, created["0" * 40].secret_key)
    server.accounts.remove(bucket)


def test_a_server_without_accounts_is_told_only_where_some_are_wanted(gateway: Connection) -> None:
    with minio_admin(gateway) as admin:
        accounts = Accounts(admin, gateway)
        assert accounts.sound("photos", [])
        assert accounts.ensure("photos", []) == Ensured(created={}, changed=())
        assert not accounts.remove("photos")
        for look in (accounts.sound, accounts.ensure):
            with pytest.raises(UnsupportedError, match="has no MinIO admin API"):
                look("photos", [READER])


@pytest.mark.parametrize("mode", RIGHTS)
def test_a_policy_names_one_bucket_and_no_wildcard(mode: Mode) -> None:
    statements: Sequence[dict[str, Any]] = policy("photos", mode)["Statement"]
    assert {name for one in statements for name in one["Resource"]} == {"arn:aws:s3:::photos", "arn:aws:s3:::photos/*"}
    assert not [action for one in statements for action in one["Action"] if "*" in action]


def test_new_keys_do_not_show_their_secret() -> None:
    assert "hidden" not in repr(NewKeys(access_key="A", secret_key="hidden"))
    assert "hidden" not in repr(replace(READER, secret_key="hidden"))
