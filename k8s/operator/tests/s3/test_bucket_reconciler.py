"""What becomes of a Bucket look by look: nobody else's bucket is touched, no keys are lost, nothing is left behind.

The stores are real servers; where one has to refuse, botocore is given the refusal as the server's answer.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError
from bucket_builders import bucket
from fake_kube import FakeKube
from prometheus_client import CollectorRegistry
from s3.servers import connection, free_port
from s3.wrong_ends import certificate, s3_error
from urllib3 import HTTPResponse

from landfall_operator.bucket_reconciler import CLEARING_SECONDS, WHOLE_SECONDS, BucketReconciler
from landfall_operator.bucket_secrets import LookAgainError
from landfall_operator.conditions import condition
from landfall_operator.constants import FINALIZER
from landfall_operator.metrics import Metrics
from landfall_operator.resource import Bucket, Json, Key, moment, stamp
from landfall_operator.s3.accounts import Access, Accounts, account_info, user_name, verify
from landfall_operator.s3.connection import Connection, Stores, minio_admin
from landfall_operator.settings import Settings
from landfall_operator.store import Store
from landfall_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES = ("shop", "files")
ID, KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
ACCESS = [{"name": "api", "mode": "ReadWrite", "secretName": "media-api"}]
SECRET = ("shop", "media-api")

Answer = Callable[[], AWSResponse | None]  # in place of the server's, where it is one


class World:
    """A reconciler, and what is around it."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.store, self.queue = Store(None), WorkQueue()
        self.kube = FakeKube(self.store)
        settings = Settings(runner_image="runner", bucket_check_seconds=1)
        metrics = Metrics(CollectorRegistry())
        self.reconciler = BucketReconciler(self.store, self.kube, self.queue, metrics, settings=settings)
        self.runner = runner

    def add(self, server: Connection, *, name: str = "files", path_style: bool = True, **spec: Any) -> str:
        """A Bucket and the Secret of its store; its bucket's name."""
        store = {"endpoint": server.endpoint, "forcePathStyle": path_style, **spec.pop("store", {})}
        bucket_name: str = spec.setdefault("bucketName", f"bucket-{uuid.uuid4().hex[:12]}")
        self.kube.keep_secret("shop", "minio", {ID: server.access_key, KEY: server.secret_key})
        self.kube.add(bucket(name=name, uid=f"uid-{name}", store=store, **spec))
        return bucket_name

    def on(self, server: Connection, operation: str, answer: Answer | None) -> None:
        """Have the reconciler's requests of one kind answered otherwise, or as ever."""
        events, event = self.reconciler._stores.client(server).meta.events, f"before-send.s3.{operation}"
        events.unregister(event, unique_id=operation)
        if answer:
            events.register(event, lambda **_: answer(), unique_id=operation)  # type: ignore[arg-type]

    def look(self, key: Key = FILES, *, due: bool = True) -> str:
        """One look, `due` as if its time had come; the reason that it ended with."""
        if due and key in (looks := self.reconciler._looks):
            looks[key] = (looks[key][0], 0.0)
        self.runner.run(self.reconciler.reconcile(key))
        return str(self.ready(key).get("reason", ""))

    def delete(self, key: Key = FILES) -> None:
        """And look until it is gone, or for as long as that could take."""
        self.kube.delete(key)
        for _ in range(4):
            if self.kube.has(key):
                self.look(key)
        assert self.kube.has(key) or self.store.bucket(key) is None

    def age(self, seconds: float, key: Key = FILES) -> None:
        """Have its conditions be so much older."""
        status = deepcopy(dict(self.bucket(key).status))
        for one in status["conditions"]:
            since = moment(one["lastTransitionTime"])
            assert since
            one["lastTransitionTime"] = stamp(since - timedelta(seconds=seconds))
        self.runner.run(self.kube.set_status(self.bucket(key), status))

    def bucket(self, key: Key = FILES) -> Bucket:
        found = self.store.bucket(key)
        assert found
        return found

    def ready(self, key: Key = FILES) -> Json:
        found = self.store.bucket(key)
        return condition(found.status, "Ready") if found else {}


@pytest.fixture
def world() -> Iterator[World]:
    with asyncio.Runner() as runner:
        world = World(runner)
        yield world
        world.reconciler._threads.shutdown()
        world.reconciler._stores.close()


@pytest.fixture
def s3(moto_server: Connection, stores: Stores) -> S3Client:
    """As people see it, whatever the operator is answered."""
    return stores.client(moto_server)


def refused(code: str = "AccessDenied", status: int = 403) -> AWSResponse:
    raw = HTTPResponse(BytesIO(s3_error(code).encode()), preload_content=False)
    return AWSResponse("http://store", status, HTTPHeaders(), raw)


def exists(client: S3Client, name: str) -> bool:
    return name in {found["Name"] for found in client.list_buckets()["Buckets"]}


def make_theirs(client: S3Client, name: str) -> None:
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="precious", Body=b"x")
    client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "finance"}]})


def test_a_bucket_that_might_not_be_looked_at_is_still_not_ours_when_it_may(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server, deletionPolicy="Purge")
    s3.create_bucket(Bucket=name)  # empty, and without tags: nothing but our own intent could make it ours
    for operation in ("GetBucketTagging", "CreateBucket"):
        world.on(moto_server, operation, refused)
    assert world.look() == "AccessDenied"
    for operation in ("GetBucketTagging", "CreateBucket"):
        world.on(moto_server, operation, None)
    assert world.look() == "BucketForeign"
    world.delete()
    assert not world.kube.has(FILES)
    assert exists(s3, name)


def test_a_bucket_that_we_might_not_create_is_not_ours_when_somebody_else_does(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server, deletionPolicy="Purge")
    world.on(moto_server, "CreateBucket", refused)
    assert world.look() == "AccessDenied"
    s3.create_bucket(Bucket=name)
    assert world.look() == "BucketForeign"


def test_a_bucket_that_we_might_not_create_is_not_deleted_when_somebody_else_has(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server, deletionPolicy="Purge")
    world.on(moto_server, "CreateBucket", refused)
    assert world.look() == "AccessDenied"
    s3.create_bucket(Bucket=name)
    world.delete()
    assert not world.kube.has(FILES)
    assert exists(s3, name)


def test_a_create_that_succeeds_on_what_is_there_claims_nothing(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server, deletionPolicy="Purge")
    make_theirs(s3, name)  # of the same account: us-east-1 answers 200 when one creates it again
    world.on(moto_server, "GetBucketTagging", refused)
    assert world.look() == "AccessDenied"
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "team", "Value": "finance"}]
    world.on(moto_server, "GetBucketTagging", None)
    assert world.look() == "BucketForeign"
    world.delete()
    assert s3.get_object(Bucket=name, Key="precious")["Body"].read() == b"x"


def test_a_bucket_whose_creation_was_left_unclear_is_ours(world: World, moto_server: Connection, s3: S3Client) -> None:
    name = world.add(moto_server)

    def broken_off() -> AWSResponse:
        s3.create_bucket(Bucket=name)
        return refused("InternalError", 500)

    world.on(moto_server, "CreateBucket", broken_off)
    assert world.look() == "StoreFailing"
    assert world.look() == "Ready"
    assert world.bucket().status["origin"] == "Created"


def test_a_bucket_whose_own_host_is_not_there_holds_up_no_other(world: World, moto_server: Connection) -> None:
    def nobody() -> AWSResponse:
        raise EndpointConnectionError(endpoint_url="http://bad.store") from ConnectionRefusedError()

    world.add(moto_server, name="good")
    world.add(moto_server, name="bad", path_style=False)
    virtual = replace(moto_server, path_style=False)
    world.on(virtual, "GetBucketTagging", nobody)
    assert world.look(("shop", "good")) == "Ready"
    assert world.look(("shop", "bad")) == "StoreUnreachable"
    assert world.look(("shop", "good")) == "Ready"


def test_a_store_that_is_away_is_told_without_the_name_of_another_bucket(world: World) -> None:
    nowhere = connection(f"http://127.0.0.1:{free_port()}")
    other = world.add(nowhere, name="other")
    world.add(nowhere)
    assert world.look(("shop", "other")) == "StoreUnreachable"
    assert other in world.ready(("shop", "other"))["message"]
    world.kube.events.clear()
    assert world.look() == "StoreUnreachable"
    assert nowhere.endpoint in world.ready()["message"]
    assert other not in f"{world.ready()} {world.kube.events}"


def test_secrets_are_let_go_before_the_finalizer_though_the_store_refuses_the_look(
    world: World, moto_server: Connection
) -> None:
    world.add(moto_server, deletionPolicy="Delete", access=ACCESS, store={"accounts": "Shared"})
    assert world.look() == "Ready"
    assert world.kube.secrets[SECRET].owner_references
    world.on(moto_server, "PutBucketVersioning", refused)
    world.kube.change(FILES, deletionPolicy="Retain", versioning="Enabled")
    assert world.look() == "AccessDenied"
    assert FINALIZER not in world.bucket().finalizers
    world.delete()
    assert not world.kube.has(FILES)
    assert SECRET in world.kube.secrets


def test_a_secret_that_somebody_changes_just_then_is_let_go_before_the_bucket_is(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server, deletionPolicy="Delete", access=ACCESS, store={"accounts": "Shared"})
    assert world.look() == "Ready"
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    world.kube.delete(FILES)
    assert world.look() == "BucketNotEmpty"
    world.kube.change(FILES, deletionPolicy="Retain")
    world.kube.rivals.add("media-api")
    with pytest.raises(LookAgainError):
        world.look()
    assert world.kube.has(FILES)
    world.look()
    assert not world.kube.has(FILES)
    assert SECRET in world.kube.secrets


def test_keys_with_the_right_that_was_lacking_are_taken_up(world: World, moto_server: Connection) -> None:
    world.add(moto_server)
    weak = connection(moto_server.endpoint, access_key="weak")
    world.kube.keep_secret("shop", "minio", {ID: weak.access_key, KEY: weak.secret_key})
    for operation in ("GetBucketTagging", "CreateBucket"):
        world.on(weak, operation, refused)
    assert world.look() == "AccessDenied"
    world.kube.keep_secret("shop", "minio", {ID: moto_server.access_key, KEY: moto_server.secret_key})
    assert world.look() == "Ready"


def test_a_corrected_ca_is_taken_up(world: World, moto_server: Connection, tmp_path: Path) -> None:
    world.kube.config_maps["shop", "ca"] = {"ca.crt": "no certificate"}
    world.add(moto_server, store={"caBundleRef": {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"}})
    assert world.look() == "CertificateInvalid"
    world.kube.config_maps["shop", "ca"] = {"ca.crt": certificate(tmp_path).pem}
    assert world.look() == "Ready"


@pytest.fixture(scope="module")
def weak(minio_server: Connection) -> Connection:
    """Keys that may do all with buckets, and nothing with accounts."""
    name, password = f"weak-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with minio_admin(minio_server) as admin:
        admin.user_add(name, password)
        admin.policy_set("readwrite", user=name)
    return connection(minio_server.endpoint, access_key=name, secret_key=password)


@pytest.mark.parametrize("renewed", [False, True], ids=["same keys", "the store's keys were renewed since"])
@pytest.mark.parametrize("policy", ["Delete", "Purge"])
def test_a_shared_bucket_ends_without_rights_over_accounts(
    world: World, minio_server: Connection, weak: Connection, stores: Stores, policy: str, *, renewed: bool
) -> None:
    name = world.add(
        minio_server if renewed else weak, deletionPolicy=policy, access=ACCESS, store={"accounts": "Shared"}
    )
    assert world.look() == "Ready"
    if policy == "Purge":
        stores.client(minio_server).put_object(Bucket=name, Key="k", Body=b"x")
    if renewed:
        world.kube.keep_secret("shop", "minio", {ID: weak.access_key, KEY: weak.secret_key})
        world.kube.change(FILES, annotations={"landfall.dev/retry": "1"})
    world.delete()
    assert not world.kube.has(FILES)
    assert not exists(stores.client(minio_server), name)


@pytest.mark.parametrize(
    "spec", [{"accounts": "Shared"}, {"access": []}], ids=["the store's keys are shared", "no access is left"]
)
def test_keys_that_the_spec_gives_to_nobody_any_more_end(
    world: World, minio_server: Connection, spec: dict[str, Any]
) -> None:
    name = world.add(minio_server, deletionPolicy="Delete", access=ACCESS)
    assert world.look() == "Ready"
    old = world.kube.secrets[SECRET].data
    assert verify(minio_server, old[ID], old[KEY])
    if "accounts" in spec:
        spec = {"store": {**world.bucket().spec["store"], **spec}}
    world.kube.change(FILES, **spec)
    assert world.look() == "Ready"
    assert not verify(minio_server, old[ID], old[KEY])
    with minio_admin(minio_server) as admin:
        assert user_name(name) not in admin.user_list()


def test_a_bucket_at_rest_reads_no_secret_after_its_rotation_is_no_longer_asked_for(
    world: World, minio_server: Connection
) -> None:
    world.add(minio_server, access=ACCESS)
    world.kube.change(FILES, annotations={"landfall.dev/rotate": "t1"})
    assert world.look() == "Ready"
    assert world.bucket().status["rotatedFor"] == "t1"
    world.kube.change(FILES, annotations={})
    assert world.look() == "Ready"
    keys = world.kube.secrets[SECRET].data
    deadline = monotonic() + 5
    while not (account_info(minio_server, keys[ID], keys[KEY]) or {}).get("Buckets") and monotonic() < deadline:
        sleep(0.05)  # MinIO's list of buckets is up to a second old, and a key with no bucket counts as broken
    world.age(WHOLE_SECONDS + 1)
    world.kube.secret_reads = 0
    assert world.look() == "Ready"
    assert world.kube.secret_reads == 0


def test_a_key_that_another_operator_made_at_the_same_time_is_cleared_a_minute_later(
    world: World, minio_server: Connection
) -> None:
    """Killed, it may have asked for one that the store makes only after we looked."""
    world.reconciler._check_seconds = 600
    name = world.add(minio_server, access=ACCESS)
    assert world.look() == "Ready"
    due = world.reconciler._looks[FILES][1] - monotonic()
    assert due <= CLEARING_SECONDS
    with minio_admin(minio_server) as admin:
        accounts = Accounts(admin, minio_server)
        accounts._create(name, [Access(name="api", mode="ReadWrite")], accounts._set_password(name))
        assert len(accounts._list(name)) == 2
        world.age(CLEARING_SECONDS)
        assert world.look() == "Ready"
        assert accounts._list(name).keys() == {world.kube.secrets[SECRET].data[ID]}


def test_a_key_whose_secret_somebody_else_changed_just_then_is_taken_back(
    world: World, minio_server: Connection
) -> None:
    name = world.add(minio_server, access=ACCESS)
    assert world.look() == "Ready"
    world.kube.change(FILES, annotations={"landfall.dev/rotate": "t1"})
    world.kube.rivals.add(SECRET[1])
    with pytest.raises(LookAgainError):
        world.look()
    with minio_admin(minio_server) as admin:
        assert Accounts(admin, minio_server)._list(name).keys() == {world.kube.secrets[SECRET].data[ID]}


def test_what_a_server_lacks_is_not_tried_again_after_a_rotation_is_no_longer_asked_for(
    world: World, moto_server: Connection
) -> None:
    tries: list[None] = []

    def lacking() -> AWSResponse:
        tries.append(None)
        return refused("NotImplemented", 501)

    world.on(moto_server, "PutBucketVersioning", lacking)
    world.add(moto_server, access=ACCESS, versioning="Enabled", store={"accounts": "Shared"})
    world.kube.change(FILES, annotations={"landfall.dev/rotate": "t1"})
    assert world.look() == "Ready"
    assert world.bucket().status["unsupported"] == ["versioning"]
    world.kube.change(FILES, annotations={})
    tries.clear()
    assert [world.look() for _ in range(2)] == ["Ready"] * 2
    assert not tries


def test_a_spec_that_changes_during_a_look_is_looked_at_next(
    world: World, moto_server: Connection, s3: S3Client
) -> None:
    name = world.add(moto_server)
    before = world.bucket().generation

    def change() -> None:
        world.on(moto_server, "PutBucketTagging", None)
        world.kube.change(FILES, versioning="Enabled")

    world.on(moto_server, "PutBucketTagging", change)  # the last request of the first look
    assert world.look() == "Ready"
    assert world.bucket().generation == before + 1
    assert world.bucket().status["observedGeneration"] == world.ready()["observedGeneration"] == before
    assert world.look(due=False) == "Ready"
    assert world.bucket().status["observedGeneration"] == world.ready()["observedGeneration"] == before + 1
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"


def test_a_bucket_that_is_woken_before_its_time_is_looked_at_in_time_all_the_same(
    world: World, moto_server: Connection
) -> None:
    world.add(moto_server)
    assert world.look() == "Ready"

    async def wait() -> None:
        loop, looked = asyncio.get_running_loop(), asyncio.Event()
        world.on(moto_server, "GetBucketTagging", lambda: (loop.call_soon_threadsafe(looked.set), None)[1])
        worker = asyncio.create_task(world.queue.work(world.reconciler))
        for _ in range(3):
            world.queue.add_after(FILES, 0.01)  # such as an event of something around
            await asyncio.sleep(0.03)
        async with asyncio.timeout(5):
            await looked.wait()
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    world.runner.run(wait())
