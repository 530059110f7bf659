"""A bucket gets what its spec says, is then left alone, and what its server lacks is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from landfall_operator.s3.connection import Connection, minio_admin
from landfall_operator.s3.errors import StoreError
from landfall_operator.s3.features import Features, ensure_features, lifecycle_rules, plain_cors, plain_rules, quantity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MakeBucket = Callable[[Connection], tuple["S3Client", str]]

EXPIRE = {"id": "expire", "prefix": "tmp/", "expireAfterDays": 7}
OLD = {"id": "old", "expireNoncurrentAfterDays": 3}
ABORT = {"id": "abort", "abortUploadsAfterDays": 2}
BOTH = {"id": "both", "prefix": "in/", "expireAfterDays": 9, "abortUploadsAfterDays": 2}
CORS = {
    "allowedOrigins": ["https://b.example", "https://a.example"],
    "allowedMethods": ["PUT", "GET"],
    "maxAgeSeconds": 9,
}
ALL = {"versioning": "Enabled", "lifecycle": [EXPIRE, OLD, BOTH], "cors": [CORS]}


class Bucket:
    """A bucket, and how many S3 requests were made for it."""

    def __init__(self, store: Connection, client: S3Client, name: str) -> None:
        self.store, self.client, self.name = store, client, name
        self.requests: list[str] = []
        client.meta.events.register("before-call.s3", lambda model, **_: self.requests.append(model.name))

    def ensure(self, spec: dict[str, Any], *, lacking: tuple[str, ...] = ()) -> Features:
        self.requests.clear()
        return ensure_features(self.client, self.store, self.name, spec, lacking=lacking)


@pytest.fixture
def moto(moto_server: Connection, make_bucket: MakeBucket) -> Bucket:
    return Bucket(moto_server, *make_bucket(moto_server))


@pytest.fixture
def versitygw(gateway: Connection, make_bucket: MakeBucket) -> Bucket:
    return Bucket(gateway, *make_bucket(gateway))


@pytest.fixture
def minio(minio_server: Connection, make_bucket: MakeBucket) -> Bucket:
    return Bucket(minio_server, *make_bucket(minio_server))


def test_all_that_is_asked_is_set(moto: Bucket) -> None:
    assert moto.ensure(ALL) == Features(changed=("versioning", "lifecycle", "cors"))
    assert moto.client.get_bucket_versioning(Bucket=moto.name)["Status"] == "Enabled"
    rules = moto.client.get_bucket_lifecycle_configuration(Bucket=moto.name)["Rules"]
    assert {rule["ID"] for rule in rules} == {"expire", "old", "both"}
    assert rules[2]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert moto.client.get_bucket_cors(Bucket=moto.name)["CORSRules"][0]["MaxAgeSeconds"] == 9


def test_what_is_right_costs_a_request_each_and_is_not_written_again(moto: Bucket) -> None:
    moto.ensure(ALL)
    assert moto.ensure(ALL) == Features()
    assert moto.requests == ["GetBucketVersioning", "GetBucketLifecycleConfiguration", "GetBucketCors"]


def test_what_is_not_asked_is_neither_looked_at_nor_touched(moto: Bucket) -> None:
    moto.ensure(ALL)
    assert moto.ensure({"versioning": None}) == Features()
    assert moto.requests == []
    assert moto.ensure(ALL) == Features()


def test_what_somebody_changed_is_repaired(moto: Bucket) -> None:
    moto.ensure(ALL)
    moto.client.put_bucket_versioning(Bucket=moto.name, VersioningConfiguration={"Status": "Suspended"})
    rules: Any = lifecycle_rules([{**EXPIRE, "expireAfterDays": 8}, OLD, BOTH])
    moto.client.put_bucket_lifecycle_configuration(Bucket=moto.name, LifecycleConfiguration={"Rules": rules})
    moto.client.delete_bucket_cors(Bucket=moto.name)
    assert moto.ensure(ALL).changed == ("versioning", "lifecycle", "cors")
    assert moto.ensure(ALL) == Features()


def test_empty_lists_remove_the_rules(moto: Bucket) -> None:
    moto.ensure(ALL)
    assert moto.ensure({"lifecycle": [], "cors": []}).changed == ("lifecycle", "cors")
    assert moto.ensure({"lifecycle": [], "cors": []}) == Features()


def test_what_a_server_lacks_is_told_and_the_rest_is_done(versitygw: Bucket) -> None:
    done = versitygw.ensure({**ALL, "quota": "1Gi"})
    assert done == Features(changed=("cors",), unsupported=("versioning", "lifecycle", "quota"))


def test_what_a_server_is_known_to_lack_is_not_tried_again(versitygw: Bucket) -> None:
    spec = {**ALL, "quota": "1Gi"}
    lacking = versitygw.ensure(spec).unsupported
    assert versitygw.ensure(spec, lacking=lacking) == Features(unsupported=lacking)
    assert versitygw.requests == ["GetBucketCors"]


def test_asking_a_server_for_less_than_it_lacks_is_no_complaint(versitygw: Bucket) -> None:
    assert versitygw.ensure({"versioning": "Suspended", "lifecycle": []}) == Features()


def test_rules_that_abort_uploads_are_told_where_minio_forgets_them(minio: Bucket) -> None:
    spec = {"lifecycle": [EXPIRE, BOTH]}
    lacking = ("lifecycle abortUploadsAfterDays",)
    assert minio.ensure(spec) == Features(changed=("lifecycle",), unsupported=lacking)
    assert minio.ensure(spec) == Features(unsupported=lacking)
    assert minio.ensure(spec, lacking=lacking) == Features(unsupported=lacking)
    assert minio.requests == ["GetBucketLifecycleConfiguration"]


def test_a_rule_that_minio_refuses_does_not_keep_the_others_away(minio: Bucket) -> None:
    assert minio.ensure({"lifecycle": [EXPIRE, ABORT]}).changed == ("lifecycle",)
    rules = minio.client.get_bucket_lifecycle_configuration(Bucket=minio.name)["Rules"]
    assert [rule["ID"] for rule in rules] == ["expire"]


def test_minio_takes_the_rest_and_says_what_it_lacks(minio: Bucket) -> None:
    spec = {"versioning": "Enabled", "lifecycle": [EXPIRE, OLD], "cors": [CORS], "quota": "10Mi"}
    done = minio.ensure(spec)
    assert (done.changed, done.unsupported) == (("versioning", "lifecycle", "quota"), ("cors",))
    again = minio.ensure(spec)
    assert (again.changed, again.unsupported, again.quota_exceeded) == ((), ("cors",), False)
    with minio_admin(minio.store) as admin:
        assert json.loads(admin.bucket_quota_get(minio.name))["quota"] == 10 * 2**20


def test_a_value_that_the_server_refuses_is_a_failure_that_quotes_it(moto: Bucket) -> None:
    with pytest.raises(StoreError, match="Could not set the CORS rules") as caught:
        moto.ensure({"cors": [{**CORS, "allowedMethods": ["BREW"]}]})
    assert caught.value.reason == "InvalidByStore"


@pytest.mark.parametrize(
    "theirs",
    [
        {"ID": "expire", "Status": "Enabled", "Prefix": "tmp/", "Expiration": {"Days": 7}},
        {
            "ID": "expire",
            "Status": "Enabled",
            "Filter": {"Prefix": "tmp/"},
            "Expiration": {"Days": 7, "ExpiredObjectDeleteMarker": False},
            "Transitions": [],
        },
    ],
)
def test_a_rule_that_says_the_same_is_the_same(theirs: dict[str, Any]) -> None:
    assert plain_rules([theirs]) == plain_rules(lifecycle_rules([EXPIRE]))


@pytest.mark.parametrize(
    "more",
    [
        {"Status": "Disabled"},
        {"Filter": {"Prefix": "other/"}},
        {"Filter": {"Prefix": "tmp/", "Tag": {"Key": "a", "Value": "b"}}},
        {"Filter": {"And": {"Prefix": "tmp/", "ObjectSizeGreaterThan": 5}}},
        {"Transitions": [{"Days": 3, "StorageClass": "GLACIER"}]},
    ],
)
def test_a_rule_that_says_more_is_another(more: dict[str, Any]) -> None:
    theirs = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 7}, **more}
    assert plain_rules([theirs]) != plain_rules(lifecycle_rules([EXPIRE]))


def test_the_order_of_cors_rules_counts_and_that_of_their_parts_does_not() -> None:
    one: dict[str, Any] = {"AllowedOrigins": ["a", "b"], "AllowedMethods": ["GET"]}
    other = {"AllowedOrigins": ["c"], "AllowedMethods": ["GET"]}
    assert plain_cors([{**one, "AllowedOrigins": ["b", "a"], "ExposeHeaders": []}]) == plain_cors([one])
    assert plain_cors([one, other]) != plain_cors([other, one])


@pytest.mark.parametrize(("text", "count"), [("1", 1), ("10Gi", 10 * 2**30), ("5M", 5_000_000), ("2k", 2000)])
def test_a_quantity_is_a_number_of_bytes(text: str, count: int) -> None:
    assert quantity(text) == count
