"""A Bucket's life on each store: made, adopted, kept as the spec says, and what it tells of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cluster import Namespace, condition, until
from conftest import MakeStage
from life import sample, scrape, wait_until_up
from stores import Store, access, access_keys, bucket, key_id, marks, retried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LIFECYCLE = [
    {"id": "tmp", "prefix": "tmp/", "expireAfterDays": 7},
    {"id": "old", "expireNoncurrentAfterDays": 30},
]
CORS = [{"allowedOrigins": ["https://app.example.org"], "allowedMethods": ["GET", "PUT"], "maxAgeSeconds": 60}]
NOTHING_ALLOWED = {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}


def tags(client: S3Client, name: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.get_bucket_tagging(Bucket=name)["TagSet"]}


def events(stage: Namespace, name: str) -> list[tuple[str, str]]:
    """A Bucket's Events, type and reason, oldest first; one that came several times is there as often."""
    found = stage.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json")
    ours = [event for event in json.loads(found)["items"] if event["involvedObject"]["kind"] == "Bucket"]
    ours.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    return [(event["type"], event["reason"]) for event in ours for _ in range(event.get("count") or 1)]


def test_a_bucket_is_made_and_says_whose_it_is(stage: Namespace, store: Store, unique: str) -> None:
    stage.apply(bucket(unique, store, versioning="Enabled"))
    stage.kubectl("wait", "--for=condition=Ready", f"bucket/{unique}", "--timeout=30s")
    body = stage.get("bucket", unique)
    assert (body["status"]["origin"], body["status"]["endpoint"]) == ("Created", store.endpoint)
    assert "creating" not in body["status"]
    assert body["metadata"].get("finalizers") is None
    with store.client() as client:
        assert client.get_bucket_versioning(Bucket=unique)["Status"] == "Enabled"
        told = tags(client, unique)
    assert told["landfall.dev/bucket"] == f"{stage.name}/{unique}"
    assert told["landfall.dev/uid"] == body["metadata"]["uid"]
    assert told["landfall.dev/origin"] == "Created"


def test_a_bucket_that_is_there_is_adopted_with_all_that_is_in_it(stage: Namespace, store: Store, unique: str) -> None:
    with store.client() as client:
        client.create_bucket(Bucket=unique)
        client.put_bucket_tagging(Bucket=unique, Tagging={"TagSet": [{"Key": "team", "Value": "field"}]})
        client.put_object(Bucket=unique, Key="there", Body=b"there")
        stage.apply(bucket(unique, store))
        stage.told(unique, "BucketForeign")
        assert tags(client, unique) == {"team": "field"}
        stage.apply(bucket(unique, store, adopt="IfExists"))
        body = stage.told(unique, "Ready")
        assert body["status"]["origin"] == "Adopted"
        told = tags(client, unique)
        assert (told["team"], told["landfall.dev/origin"]) == ("field", "Adopted")
        assert client.get_object(Bucket=unique, Key="there")["Body"].read() == b"there"


def test_of_two_buckets_for_one_the_first_keeps_it_and_what_is_deleted_of_the_other_harms_nothing(
    stage: Namespace, store: Store, unique: str
) -> None:
    stage.apply(bucket(unique, store))
    stage.told(unique, "Ready")
    other = f"{unique}-other"
    with store.client() as client:
        client.put_object(Bucket=unique, Key="there", Body=b"there")
        stage.apply(bucket(other, store, bucketName=unique, adopt="IfExists", deletionPolicy="Purge"))
        message = condition(stage.told(other, "BucketForeign"), "Stalled")["message"]
        assert f"belongs to the Bucket {stage.name}/{unique}" in message
        stage.kubectl("delete", "bucket", other, "--timeout=20s")
        assert client.get_object(Bucket=unique, Key="there")["Body"].read() == b"there"
    assert condition(retried(stage, unique), "Ready")["status"] == "True"


def test_a_retained_bucket_is_taken_up_again_by_its_name(stage: Namespace, store: Store, unique: str) -> None:
    accesses = access("ReadWrite", prefix=unique)
    stage.apply(bucket(unique, store, access=accesses))
    stage.told(unique, "Ready")
    before = marks(stage, f"{unique}-readwrite")
    stage.kubectl("delete", "bucket", unique, "--timeout=20s")
    stage.apply(bucket(unique, store, access=accesses))
    body = stage.told(unique, "Ready")
    assert body["status"]["origin"] == "Created"
    assert marks(stage, f"{unique}-readwrite") == before
    with store.client() as client:
        assert tags(client, unique)["landfall.dev/uid"] == body["metadata"]["uid"]


def test_a_finalizer_comes_and_goes_with_the_policy(stage: Namespace, store: Store, unique: str) -> None:
    accesses = access("ReadWrite", prefix=unique)
    found = []
    for policy in ("Retain", "Delete", "Retain"):
        stage.apply(bucket(unique, store, deletionPolicy=policy, access=accesses))
        metadata = stage.told(unique, "Ready")["metadata"]
        owned = stage.get("secret", f"{unique}-readwrite")["metadata"].get("ownerReferences") or []
        found.append((metadata.get("finalizers"), [owner["kind"] for owner in owned]))
    assert found == [(None, []), (["landfall.dev/finalizer"], ["Bucket"]), (None, [])]


@pytest.mark.parametrize(
    ("program", "lacks"), [("minio", ["cors"]), ("versitygw", ["lifecycle", "quota"])], ids=["minio", "versitygw"]
)
def test_what_a_server_lacks_is_a_condition_and_no_failure(
    stage: Namespace, request: pytest.FixtureRequest, unique: str, program: str, lacks: list[str]
) -> None:
    store: Store = request.getfixturevalue(program)
    stage.apply(bucket(unique, store, lifecycle=LIFECYCLE, cors=CORS, quota="1Gi", versioning="Enabled"))
    body = stage.told(unique, "Ready")
    assert body["status"]["unsupported"] == lacks
    note = condition(body, "FeaturesSupported")
    assert (note["status"], note["reason"]) == ("False", "Unsupported")
    assert f"The server lacks: {', '.join(lacks)}." in note["message"]
    assert condition(body, "Ready")["status"] == "True"
    stage.apply(bucket(unique, store, versioning="Enabled"))
    body = stage.told(unique, "Ready")
    assert condition(body, "FeaturesSupported")["status"] == "True"
    assert events(stage, unique) == [("Normal", "Ready"), ("Warning", "Unsupported")]


def test_lifecycle_follows_the_spec_and_stays_as_it_is_when_left_out(
    stage: Namespace, minio: Store, unique: str
) -> None:
    def rules(client: S3Client) -> dict[str, Any]:
        try:
            found = client.get_bucket_lifecycle_configuration(Bucket=unique)["Rules"]
        except ClientError:
            return {}
        return {rule["ID"]: rule.get("Expiration", {}).get("Days") for rule in found}

    with minio.client() as client:
        seen = []
        specs: list[dict[str, Any]] = [{"lifecycle": LIFECYCLE}, {}, {"lifecycle": LIFECYCLE[:1]}, {"lifecycle": []}]
        for spec in specs:
            stage.apply(bucket(unique, minio, **spec))
            stage.told(unique, "Ready")
            seen.append(rules(client))
    assert seen == [{"tmp": 7, "old": None}, {"tmp": 7, "old": None}, {"tmp": 7}, {}]


def test_cors_follows_the_spec(stage: Namespace, versitygw: Store, unique: str) -> None:
    stage.apply(bucket(unique, versitygw, cors=CORS))
    stage.told(unique, "Ready")
    with versitygw.client() as client:
        (rule,) = client.get_bucket_cors(Bucket=unique)["CORSRules"]
        assert (rule["AllowedOrigins"], rule["AllowedMethods"], rule["MaxAgeSeconds"]) == (
            ["https://app.example.org"],
            ["GET", "PUT"],
            60,
        )
        stage.apply(bucket(unique, versitygw, cors=[]))
        stage.told(unique, "Ready")
        with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
            client.get_bucket_cors(Bucket=unique)


def is_over_quota(client: S3Client, name: str) -> bool:
    """The server counts now and then, so that some may pass before."""
    try:
        client.put_object(Bucket=name, Key="more", Body=bytes(1000))
    except ClientError as error:
        return "QuotaExceeded" in error.response["Error"]["Code"]
    return False


def test_a_full_quota_is_told_and_an_emptied_one_too(stage: Namespace, minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, minio, quota="1Mi"))
    stage.told(unique, "Ready")

    def exceeded(status: str) -> dict[str, Any] | None:
        body = retried(stage, unique)
        return body if condition(body, "QuotaExceeded").get("status") == status else None

    with minio.client() as client:
        client.put_object(Bucket=unique, Key="large", Body=bytes(1048575))
        body = until(lambda: exceeded("True"), seconds=90, what="the Bucket says that it is full")
        assert condition(body, "Ready")["status"] == "True"
        assert "1Mi" in condition(body, "QuotaExceeded")["message"]
        until(lambda: is_over_quota(client, unique), seconds=60, what="a write over the quota is refused")
        client.delete_object(Bucket=unique, Key="large")
    until(lambda: exceeded("False"), seconds=90, what="the Bucket says that it may take more")
    assert [reason for kind, reason in events(stage, unique) if kind == "Warning"] == ["QuotaFull"]


def test_a_deleted_access_secret_is_back_within_seconds(stage: Namespace, minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, minio, access=access("ReadWrite", prefix=unique)))
    stage.told(unique, "Ready")
    name = f"{unique}-readwrite"
    before = stage.get("secret", name)["metadata"]["uid"]
    stage.kubectl("delete", "secret", name)
    until(lambda: stage.kubectl("get", "secret", name, "--ignore-not-found"), seconds=10, what="the Secret is back")
    assert stage.get("secret", name)["metadata"]["uid"] != before
    assert key_id(stage, name) in access_keys(minio, unique)
    body = stage.settled(unique, kind="bucket")
    assert body["status"]["access"][0]["accessKeyId"] == key_id(stage, name)


def spoil(store: Store, name: str, key: str) -> None:
    """Undo on the server what a Bucket has made there."""
    with store.client() as client, store.admin() as admin:
        client.delete_bucket_lifecycle(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
        admin.bucket_quota_clear(name)
        admin.policy_add(f"landfall-{name}", policy={"Version": "2012-10-17", "Statement": [NOTHING_ALLOWED]})
        admin.user_disable(f"landfall-{name}")
        admin.delete_service_account(key)


def made(store: Store, name: str) -> dict[str, Any]:
    """What a Bucket makes on the server, but for keys."""
    with store.client() as client, store.admin() as admin:
        try:
            rules = [rule["ID"] for rule in client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]]
        except ClientError:
            rules = []
        return {
            "lifecycle": rules,
            "versioning": client.get_bucket_versioning(Bucket=name).get("Status"),
            "quota": json.loads(admin.bucket_quota_get(name)).get("quota"),
            "user": json.loads(admin.user_info(f"landfall-{name}"))["status"],
            "policy": [
                sorted(statement["Action"])
                for statement in json.loads(admin.policy_info(f"landfall-{name}"))["Statement"]
            ],
        }


def test_what_was_changed_on_the_server_is_repaired_when_asked(stage: Namespace, minio: Store, unique: str) -> None:
    accesses = access("ReadWrite", prefix=unique)
    stage.apply(bucket(unique, minio, lifecycle=LIFECYCLE, quota="1Gi", versioning="Enabled", access=accesses))
    stage.told(unique, "Ready")
    before, key = made(minio, unique), key_id(stage, f"{unique}-readwrite")
    spoil(minio, unique, key)
    retried(stage, unique)
    assert made(minio, unique) == before
    assert access_keys(minio, unique) == {key_id(stage, f"{unique}-readwrite")} != {key}


def test_what_was_changed_on_the_server_is_repaired_by_itself(make_stage: MakeStage, minio: Store) -> None:
    here = make_stage()
    minio.share(here)
    here.kubectl("set", "env", "deployment/landfall-operator", "LANDFALL_BUCKET_CHECK_SECONDS=2")
    wait_until_up(here)
    name = f"drift{here.name[-6:]}"
    accesses = access("ReadWrite", prefix=name)
    here.apply(bucket(name, minio, lifecycle=LIFECYCLE, quota="1Gi", versioning="Enabled", access=accesses))
    here.told(name, "Ready")
    before, key = made(minio, name), key_id(here, f"{name}-readwrite")
    spoil(minio, name, key)
    until(lambda: made(minio, name) == before, seconds=30, what="all is as it was")
    secret = f"{name}-readwrite"
    until(lambda: access_keys(minio, name) == {key_id(here, secret)}, seconds=10, what="the Secret has the new keys")
    assert key_id(here, secret) != key


def test_events_tell_of_transitions_only(stage: Namespace, minio: Store, unique: str) -> None:
    secret = f"{unique}-keys"
    stage.apply(bucket(unique, minio, secret=secret))
    message = condition(stage.told(unique, "SecretMissing"), "Ready")["message"]
    assert f"There is no Secret {secret}" in message
    for _ in range(3):
        retried(stage, unique)
    minio.share(stage, secret)
    stage.kubectl("wait", "--for=condition=Ready", f"bucket/{unique}", "--timeout=45s")
    for _ in range(3):
        retried(stage, unique)
    assert [reason for _, reason in events(stage, unique)] == ["SecretMissing", "Ready"]


def test_the_metrics_tell_which_buckets_are_ready_and_how_long_a_look_took(
    stage: Namespace, minio: Store, unique: str
) -> None:
    looked = "landfall_bucket_reconcile_seconds_count"
    before = sample(scrape(stage), looked) or 0
    broken = f"{unique}-broken"
    stage.apply(bucket(unique, minio), bucket(broken, minio, secret="nowhere"))
    stage.told(unique, "Ready")
    stage.told(broken, "SecretMissing")

    def value(name: str) -> float | None:
        return sample(scrape(stage), "landfall_bucket_ready", namespace=stage.name, name=name)

    assert [value(name) for name in (unique, broken)] == [1, 0]
    assert (sample(scrape(stage), looked) or 0) > before
    stage.kubectl("delete", "bucket", unique, broken, "--timeout=20s")
    until(lambda: [value(name) for name in (unique, broken)] == [None, None], seconds=10, what="their metrics go")
