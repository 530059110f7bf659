"""Access to a bucket: what each mode may do, rotation, and keys that nothing else changes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cluster import Namespace, condition, until
from conftest import MakeStage, delete_buckets, install_operator, wait_for_operator
from life import OPERATOR, wait_until_up
from minio.error import MinioAdminException
from stores import Store, access, access_keys, bucket, connect, key_id, keys, marks, retried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
ROTATE = "landfall.dev/rotate"
REAPPLIES = 50
OVERLAP_SECONDS = 8
MODES = ("ReadOnly", "ReadWrite", "WriteOnly")


def upload(client: S3Client, name: str) -> None:
    """In parts, and given up."""
    begun = client.create_multipart_upload(Bucket=name, Key="large")
    client.upload_part(Bucket=name, Key="large", UploadId=begun["UploadId"], PartNumber=1, Body=b"part")
    client.abort_multipart_upload(Bucket=name, Key="large", UploadId=begun["UploadId"])


VERBS: dict[str, Callable[[S3Client, str], Any]] = {
    "get": lambda client, name: client.get_object(Bucket=name, Key="there"),
    "head": lambda client, name: client.head_object(Bucket=name, Key="there"),
    "list": lambda client, name: client.list_objects_v2(Bucket=name),
    "put": lambda client, name: client.put_object(Bucket=name, Key="new", Body=b"new"),
    "upload": upload,
    "delete": lambda client, name: client.delete_object(Bucket=name, Key="new"),
    "delete the bucket": lambda client, name: client.delete_bucket(Bucket=name),
    "change its policy": lambda client, name: client.put_bucket_policy(Bucket=name, Policy="{}"),
    "suspend its versioning": lambda client, name: client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Suspended"}
    ),
    "make a bucket": lambda client, name: client.create_bucket(Bucket=f"{name}-other"),
}
ALLOWED = {
    "ReadOnly": {"get", "head", "list"},
    "WriteOnly": {"put", "upload"},
    "ReadWrite": {"get", "head", "list", "put", "upload", "delete"},
}
REFUSED = "403"


def refusal(client: S3Client, verb: str, name: str) -> str:
    """The status of a refusal, or nothing."""
    try:
        VERBS[verb](client, name)
    except ClientError as error:
        return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return ""


def refuses_keys(client: S3Client, name: str) -> bool:
    """Whether these keys are unknown, which a mode is not the reason of."""
    try:
        client.list_objects_v2(Bucket=name)
    except ClientError as error:
        return error.response["Error"]["Code"] in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
    return False


def rotated(stage: Namespace, name: str, mark: str) -> dict[str, Any]:
    """Ask for new keys; the status when they are made."""
    stage.kubectl("annotate", "--overwrite", "bucket", name, f"{ROTATE}={mark}")

    def look() -> dict[str, Any] | None:
        status: dict[str, Any] = stage.get("bucket", name)["status"]
        return status if status.get("rotatedFor") == mark else None

    return until(look, seconds=30, what=f"the keys of {name} are rotated")


@dataclass(frozen=True)
class Clients:
    """One bucket with an access of each mode, and a client with the keys of each."""

    name: str
    foreign: str
    by_mode: dict[str, S3Client]


@pytest.fixture(scope="module")
def clients(stage: Namespace, minio: Store) -> Iterator[Clients]:
    name = f"modes-{uuid.uuid4().hex[:6]}"
    stage.apply(
        bucket(name, minio, access=access(*MODES, prefix=name), versioning="Enabled"),
        bucket(f"{name}-foreign", minio),
    )
    stage.told(name, "Ready")
    stage.told(f"{name}-foreign", "Ready")
    with minio.client() as root, minio.forward() as address:
        for each in (name, f"{name}-foreign"):
            root.put_object(Bucket=each, Key="there", Body=b"there")
        yield Clients(name, f"{name}-foreign", {mode: as_access(address, stage, name, mode) for mode in MODES})
    delete_buckets(stage, name)


def as_access(address: str, stage: Namespace, name: str, mode: str) -> S3Client:
    """A client with what the access's Secret holds, but for the address, which is another from here."""
    held = keys(stage, f"{name}-{mode.lower()}")
    return connect(f"http://{address}", held["AWS_ACCESS_KEY_ID"], held["AWS_SECRET_ACCESS_KEY"])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_may_do_what_it_is_for_and_nothing_else(clients: Clients, mode: str, verb: str) -> None:
    expected = "" if verb in ALLOWED[mode] else REFUSED
    assert refusal(clients.by_mode[mode], verb, clients.name) == expected


@pytest.mark.parametrize("verb", ["get", "list", "put", "delete"])
@pytest.mark.parametrize("mode", MODES)
def test_no_access_reaches_another_bucket(clients: Clients, mode: str, verb: str) -> None:
    assert refusal(clients.by_mode[mode], verb, clients.foreign) == REFUSED


@pytest.mark.parametrize("mode", MODES)
def test_no_access_may_make_accounts(clients: Clients, stage: Namespace, minio: Store, mode: str) -> None:
    """MinIO lets users make accounts of their own, which would be a way around the mode."""
    held = keys(stage, f"{clients.name}-{mode.lower()}")
    with replace(minio, key=held[ID], secret_key=held[SECRET]).admin() as admin, pytest.raises(MinioAdminException):
        admin.add_service_account(access_key="E2EESCALATED", secret_key="e2e-escalated-secret")


def test_an_access_secret_holds_what_sdks_read(stage: Namespace, minio: Store, unique: str) -> None:
    public = "https://s3.example.org"
    accesses = access("ReadOnly", prefix=unique)
    stage.apply(bucket(unique, minio, access=accesses, store={"publicEndpoint": public}))
    body = stage.told(unique, "Ready")
    held = keys(stage, f"{unique}-readonly")
    key, length = held.pop(ID), len(held.pop(SECRET))
    assert held == {
        "AWS_ENDPOINT_URL_S3": minio.endpoint,
        "AWS_REGION": "us-east-1",
        "BUCKET_NAME": unique,
        "PUBLIC_ENDPOINT_URL_S3": public,
    }
    assert body["status"]["access"] == [
        {"name": "readonly", "mode": "ReadOnly", "secretName": f"{unique}-readonly", "accessKeyId": key}
    ]
    metadata = stage.get("secret", f"{unique}-readonly")["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "landfall-operator"
    assert metadata["annotations"]["landfall.dev/owner"] == f"Bucket/{unique}"
    assert (len(key), length) == (20, 40)


@pytest.mark.alone
def test_after_a_rotation_the_old_keys_work_for_the_overlap_and_then_no_more(
    stage: Namespace, minio: Store, unique: str
) -> None:
    overlap = {"rotationOverlap": f"{OVERLAP_SECONDS}s"}
    stage.apply(bucket(unique, minio, access=access("ReadWrite", prefix=unique), **overlap))
    stage.told(unique, "Ready")
    with minio.forward() as address:
        old = as_access(address, stage, unique, "ReadWrite")
        old_id = key_id(stage, f"{unique}-readwrite")
        began = time.monotonic()
        status = rotated(stage, unique, "once")["access"][0]
        new = as_access(address, stage, unique, "ReadWrite")
        assert status["previousAccessKeyId"] == old_id != status["accessKeyId"]
        retried(stage, unique)
        assert [refusal(client, "put", unique) for client in (old, new)] == ["", ""]
        until(lambda: refuses_keys(old, unique), seconds=20, what="the old keys are refused")
        lasted = time.monotonic() - began
        assert refusal(new, "put", unique) == ""
    assert OVERLAP_SECONDS - 1 <= lasted < OVERLAP_SECONDS + 7  # from the asking; moments are told in whole seconds
    assert access_keys(minio, unique) == {status["accessKeyId"]}
    body = stage.get("bucket", unique)
    assert "previousAccessKeyId" not in body["status"]["access"][0]
    assert condition(body, "Ready")["status"] == "True"


def test_a_mark_that_was_there_at_first_and_one_that_stays_rotate_nothing(
    stage: Namespace, minio: Store, unique: str
) -> None:
    wanted = bucket(unique, minio, access=access("ReadWrite", prefix=unique), annotations={ROTATE: "old"})
    stage.apply(wanted)
    stage.told(unique, "Ready")
    before = marks(stage, f"{unique}-readwrite")
    assert rotated(stage, unique, "new")["rotatedFor"] == "new"
    after = marks(stage, f"{unique}-readwrite")
    assert (after[ID] == before[ID], after[SECRET] == before[SECRET]) == (False, False)
    retried(stage, unique)
    assert marks(stage, f"{unique}-readwrite") == after


def test_a_mode_that_changes_keeps_the_keys(stage: Namespace, minio: Store, unique: str) -> None:
    entry = {"name": "app", "secretName": f"{unique}-app"}
    stage.apply(bucket(unique, minio, access=[entry | {"mode": "ReadWrite"}]))
    stage.told(unique, "Ready")
    before = marks(stage, f"{unique}-app")
    with minio.forward() as address:
        client = as_access(address, stage, unique, "app")
        assert refusal(client, "put", unique) == ""
        stage.apply(bucket(unique, minio, access=[entry | {"mode": "ReadOnly"}]))
        stage.told(unique, "Ready")
        assert [refusal(client, verb, unique) for verb in ("put", "list")] == [REFUSED, ""]
    assert marks(stage, f"{unique}-app") == before


def test_an_access_that_is_dropped_goes_with_its_secret_and_its_keys(
    stage: Namespace, minio: Store, unique: str
) -> None:
    stage.apply(bucket(unique, minio, access=access("ReadOnly", "ReadWrite", prefix=unique)))
    stage.told(unique, "Ready")
    stage.apply(bucket(unique, minio, access=access("ReadOnly", prefix=unique)))
    stage.told(unique, "Ready")
    assert access_keys(minio, unique) == {key_id(stage, f"{unique}-readonly")}
    assert stage.kubectl("get", "secret", f"{unique}-readwrite", "--ignore-not-found") == ""


def test_a_secret_that_somebody_else_made_is_not_overwritten(stage: Namespace, minio: Store, unique: str) -> None:
    minio.share(stage, f"{unique}-readonly", OTHER="theirs")
    before = stage.get("secret", f"{unique}-readonly")["metadata"]
    stage.apply(bucket(unique, minio, access=access("ReadOnly", prefix=unique)))
    message = condition(stage.told(unique, "SecretForeign"), "Stalled")["message"]
    assert f"The Secret {unique}-readonly is there already" in message
    assert stage.get("secret", f"{unique}-readonly")["metadata"] == before
    stage.kubectl("delete", "secret", f"{unique}-readonly")
    stage.kubectl("wait", "--for=condition=Ready", f"bucket/{unique}", "--timeout=60s")


def test_keys_stand_when_root_has_another_name(stage: Namespace, own_minio: Store, unique: str) -> None:
    """MinIO's accounts go with the name of the user that they belong to."""
    stage.apply(bucket(unique, own_minio, access=access("ReadWrite", prefix=unique)))
    stage.told(unique, "Ready")
    before, key = marks(stage, f"{unique}-readwrite"), key_id(stage, f"{unique}-readwrite")
    own_minio.stop()
    renamed = own_minio.with_other_root()
    renamed.start()
    with own_minio.forward() as address:
        assert refusal(as_access(address, stage, unique, "ReadWrite"), "put", unique) == ""
    retried(stage, unique)
    assert stage.told(unique, "Ready")["status"]["access"][0]["accessKeyId"] == key
    assert marks(stage, f"{unique}-readwrite") == before


def test_a_server_without_accounts_says_so_and_shares_its_keys_when_told(
    stage: Namespace, versitygw: Store, unique: str
) -> None:
    accesses = access("ReadOnly", prefix=unique)
    stage.apply(bucket(unique, versitygw, access=accesses, store={"accounts": "Scoped"}))
    message = condition(stage.told(unique, "AccountsUnsupported"), "Stalled")["message"]
    assert "Set spec.store.accounts to Shared" in message
    stage.apply(bucket(unique, versitygw, access=accesses, store={"accounts": "Shared"}))
    stage.told(unique, "Ready")
    assert keys(stage, f"{unique}-readonly")["AWS_REGION"] == versitygw.region
    root = marks(stage, versitygw.name)
    assert root.items() <= marks(stage, f"{unique}-readonly").items()


def test_nothing_but_a_rotation_changes_keys(make_stage: MakeStage, operator_image: str, minio: Store) -> None:
    """Fifty times applied, the operator restarted, uninstalled with the Bucket, and installed again."""
    here, name = make_stage(), f"kept-{uuid.uuid4().hex[:6]}"
    minio.share(here)
    accesses = access("ReadOnly", "ReadWrite", prefix=name)
    here.apply(bucket(name, minio, access=accesses))
    here.told(name, "Ready")
    before = {each["secretName"]: marks(here, each["secretName"]) for each in accesses}
    on_server = access_keys(minio, name)
    for turn in range(REAPPLIES):
        quota = {"quota": f"{turn + 1}Gi"} if turn % 2 else {}
        here.apply(bucket(name, minio, access=accesses, annotations={"turn": str(turn)}, **quota))
    here.told(name, "Ready")
    here.kubectl("rollout", "restart", OPERATOR)
    wait_until_up(here)
    retried(here, name)
    here.kubectl("delete", "bucket", name, "--timeout=20s")
    here.kubectl("delete", "deployment,role,rolebinding,serviceaccount", "landfall-operator", "--timeout=30s")
    install_operator(here, operator_image)
    here.apply(bucket(name, minio, access=accesses))
    wait_for_operator(here)
    here.told(name, "Ready")
    assert {each["secretName"]: marks(here, each["secretName"]) for each in accesses} == before
    assert access_keys(minio, name) == on_server == {key_id(here, each["secretName"]) for each in accesses}
    with minio.forward() as address:
        assert refusal(as_access(address, here, name, "ReadWrite"), "put", name) == ""
