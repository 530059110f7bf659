"""What a bucket is to have besides its name: versioning, lifecycle, CORS and a quota, each only where the spec says so.

One request a feature that is as it should be. What a server lacks is told, and is no failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from landfall_operator.s3.connection import Connection, minio_admin
from landfall_operator.s3.errors import StoreError, UnsupportedError, explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Json = Mapping[str, Any]

ABORTS = "lifecycle abortUploadsAfterDays"
DAYS = {
    "Expiration": ("expireAfterDays", "Days"),
    "NoncurrentVersionExpiration": ("expireNoncurrentAfterDays", "NoncurrentDays"),
    "AbortIncompleteMultipartUpload": ("abortUploadsAfterDays", "DaysAfterInitiation"),
}
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
# MinIO refuses what would go over the quota, so a full bucket stays a little below it.
FULL = 0.99


@dataclass(frozen=True, kw_only=True)
class Features:
    """What was changed, and what the server lacks, by the names of the spec's fields.

    The use is what MinIO's scanner counted at `used_at`, about a minute ago on a small server, more on a big one.
    """

    changed: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    quota_exceeded: bool = False
    used_bytes: int | None = None
    used_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    used_bytes: int
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """`aborts`: whether the server has the rules' part about unfinished uploads too."""

    changed: bool
    aborts: bool


def ensure_features(
    client: S3Client, connection: Connection, bucket: str, spec: Json, *, lacking: Collection[str] = ()
) -> Features:
    """Have the bucket as a Bucket's spec asks; raises `StoreError`.

    `lacking` is what this spec is known to ask in vain, as `unsupported` told it: it is not tried again.
    """
    changed, unsupported = [], []

    def lifecycle() -> bool:
        asked = spec["lifecycle"]
        done = ensure_lifecycle(client, connection, bucket, asked, aborts=ABORTS not in lacking)
        if _has_aborts(asked) and not done.aborts:
            unsupported.append(ABORTS)
        return done.changed

    steps: dict[str, Callable[[], bool]] = {
        "versioning": lambda: ensure_versioning(client, connection, bucket, spec["versioning"]),
        "lifecycle": lifecycle,
        "cors": lambda: ensure_cors(client, connection, bucket, spec["cors"]),
        "quota": lambda: ensure_quota(connection, bucket, quantity(spec["quota"])),
    }
    for name, step in steps.items():
        if spec.get(name) is None:
            continue
        try:
            if name in lacking:
                unsupported.append(name)
            elif step():
                changed.append(name)
        except UnsupportedError:
            unsupported.append(name)
    limit = quantity(spec.get("quota") or "0")
    used = usage(connection, bucket) if limit and "quota" not in unsupported else None
    return Features(
        changed=tuple(changed),
        unsupported=tuple(unsupported),
        quota_exceeded=used is not None and used.used_bytes >= FULL * limit,
        used_bytes=used.used_bytes if used else None,
        used_at=used.used_at if used else None,
    )


def ensure_versioning(client: S3Client, connection: Connection, bucket: str, wanted: str) -> bool:
    """Whether something had to be changed. A bucket that never had versions counts as suspended."""
    with explained(connection, f"read the versioning of the bucket {bucket}"):
        found = client.get_bucket_versioning(Bucket=bucket).get("Status", "Suspended")
    if found == wanted:
        return False
    with explained(connection, f"set the versioning of the bucket {bucket}"):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": wanted})  # type: ignore[typeddict-item]
    return True


def lifecycle_rules(rules: Sequence[Json], *, aborts: bool = True) -> list[dict[str, Any]]:
    """A spec's rules as S3 has them; without `aborts`, those that abort uploads do so no more, or are left out."""
    built = []
    for rule in rules:
        actions = {
            action: {theirs: rule[ours]}
            for action, (ours, theirs) in DAYS.items()
            if ours in rule and (aborts or ours != "abortUploadsAfterDays")
        }
        if actions:
            prefix = rule.get("prefix", "")
            built.append({"ID": rule["id"], "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions})
    return built


def plain_rules(rules: Sequence[Json]) -> dict[str, Json]:
    """Rules by their id, without what servers write differently: order, the place of the prefix, empty parts."""
    return {str(rule.get("ID")): _plain_rule(rule) for rule in rules}


def _plain_rule(rule: Json) -> dict[str, Any]:
    where = dict(rule.get("Filter") or {})
    prefix = where.pop("Prefix", None) or rule.get("Prefix") or ""
    rest = {name: _filled(value) for name, value in rule.items() if name not in {"ID", "Filter", "Prefix"}}
    return {"prefix": prefix, "where": where, **{name: value for name, value in rest.items() if value}}


def _filled(value: Any) -> Any:
    return {name: one for name, one in value.items() if one} if isinstance(value, dict) else value


def ensure_lifecycle(
    client: S3Client, connection: Connection, bucket: str, rules: Sequence[Json], *, aborts: bool = True
) -> Lifecycle:
    """Set the rules where they differ; those that abort uploads only as far as the server takes them."""
    wanted = lifecycle_rules(rules, aborts=aborts)
    try:
        before = _lifecycle(client, connection, bucket)
    except UnsupportedError:
        if wanted:
            raise
        return Lifecycle(changed=False, aborts=False)
    if before == plain_rules(wanted):
        return Lifecycle(changed=False, aborts=aborts)
    if not (aborts and _has_aborts(rules)):
        _set_lifecycle(client, connection, bucket, wanted)
        return Lifecycle(changed=True, aborts=aborts)
    try:
        _set_lifecycle(client, connection, bucket, wanted)
    except StoreError as error:
        if error.reason != "InvalidByStore":
            raise
        _set_lifecycle(client, connection, bucket, lifecycle_rules(rules, aborts=False))
    # MinIO refuses a rule that only aborts uploads, and silently forgets that part of others.
    after = _lifecycle(client, connection, bucket)
    return Lifecycle(changed=after != before, aborts=after == plain_rules(wanted))


def _lifecycle(client: S3Client, connection: Connection, bucket: str) -> dict[str, Json]:
    try:
        with explained(connection, f"read the lifecycle of the bucket {bucket}"):
            return plain_rules(client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules") or [])
    except StoreError as error:
        if error.code == "NoSuchLifecycleConfiguration":
            return {}
        raise


def _set_lifecycle(client: S3Client, connection: Connection, bucket: str, rules: Sequence[Any]) -> None:
    with explained(connection, f"set the lifecycle of the bucket {bucket}"):
        if rules:
            client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
        else:
            client.delete_bucket_lifecycle(Bucket=bucket)


def _has_aborts(rules: Sequence[Json] | None) -> bool:
    return any("abortUploadsAfterDays" in rule for rule in rules or ())


def cors_rules(rules: Sequence[Json]) -> list[dict[str, Any]]:
    """A spec's rules as S3 has them."""
    return [
        {name[0].upper() + name[1:]: value for name, value in rule.items() if value not in ([], None)} for rule in rules
    ]


def plain_cors(rules: Sequence[Json]) -> list[dict[str, Any]]:
    """Rules in their order, which counts, without what servers write differently."""
    return [
        {
            name: sorted(v) if isinstance(v, list) else v
            for name, v in rule.items()
            if v not in ([], None) and name != "ID"
        }
        for rule in rules
    ]


def ensure_cors(client: S3Client, connection: Connection, bucket: str, rules: Sequence[Json]) -> bool:
    """Whether something had to be changed."""
    wanted: Sequence[Any] = cors_rules(rules)
    try:
        found = _cors(client, connection, bucket)
    except UnsupportedError:
        if wanted:
            raise
        return False
    if plain_cors(found) == plain_cors(wanted):
        return False
    with explained(connection, f"set the CORS rules of the bucket {bucket}"):
        if wanted:
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": wanted})
        else:
            client.delete_bucket_cors(Bucket=bucket)
    return True


def _cors(client: S3Client, connection: Connection, bucket: str) -> Sequence[Json]:
    try:
        with explained(connection, f"read the CORS rules of the bucket {bucket}"):
            return client.get_bucket_cors(Bucket=bucket).get("CORSRules") or []
    except StoreError as error:
        if error.code == "NoSuchCORSConfiguration":
            return []
        raise


def quantity(text: str) -> int:
    """A Kubernetes quantity such as `10Gi`, in bytes."""
    found = re.fullmatch(r"([0-9]+)(\w*)", text)
    if found is None:
        raise ValueError(f"{text} is no quantity of bytes such as 10Gi")
    return int(found[1]) * UNITS[found[2]]


def ensure_quota(connection: Connection, bucket: str, wanted: int) -> bool:
    """Whether something had to be changed."""
    with minio_admin(connection) as admin:
        with explained(connection, f"read the quota of the bucket {bucket}"):
            found = json.loads(admin.bucket_quota_get(bucket)).get("quota")
        if found == wanted:
            return False
        with explained(connection, f"set the quota of the bucket {bucket}"):
            admin.bucket_quota_set(bucket, wanted)
    return True


def usage(connection: Connection, bucket: str) -> Usage:
    """As MinIO counted it at its last scan; nothing where that has not come by the bucket yet."""
    with explained(connection, f"read how full the bucket {bucket} is"), minio_admin(connection) as admin:
        told = json.loads(admin.get_data_usage_info())  # type: ignore[no-untyped-call]
    of_bucket = (told.get("bucketsUsageInfo") or {}).get(bucket) or {}
    at = datetime.fromisoformat(told["lastUpdate"]) if told.get("lastUpdate") else None
    return Usage(used_bytes=int(of_bucket.get("size", 0)), used_at=at if at and at.year > 1 else None)
