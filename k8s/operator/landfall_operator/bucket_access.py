"""Which keys each access of a Bucket has and should have; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from landfall_operator.constants import (
    ANNOTATION_PREVIOUS_KEY,
    ANNOTATION_PREVIOUS_UNTIL,
    ANNOTATION_ROTATE,
    ANNOTATION_ROTATED_FOR,
)
from landfall_operator.resource import Bucket, Json, moment, seconds, stamp

Mode = Literal["ReadOnly", "ReadWrite", "WriteOnly"]
ID, KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a Secret's annotations remember of its keys."""

    rotated_for: str | None = None
    previous: str | None = None
    until: datetime | None = None

    def annotations(self) -> dict[str, str | None]:
        return {
            ANNOTATION_ROTATED_FOR: self.rotated_for,
            ANNOTATION_PREVIOUS_KEY: self.previous,
            ANNOTATION_PREVIOUS_UNTIL: stamp(self.until) if self.until else None,
        }


@dataclass(frozen=True, kw_only=True)
class Keys:
    """One access's keys: `key_id` None asks for new ones; `previous` still works until a moment."""

    name: str
    mode: Mode
    secret_name: str
    key_id: str | None
    marks: Marks = field(default_factory=Marks)

    def status(self) -> dict[str, Any]:
        told = {
            "name": self.name,
            "mode": self.mode,
            "secretName": self.secret_name,
            "accessKeyId": self.key_id,
            "previousAccessKeyId": self.marks.previous,
            "previousUntil": stamp(self.marks.until) if self.marks.until else None,
        }
        return {name: value for name, value in told.items() if value is not None}


def from_status(bucket: Bucket, *, now: datetime) -> list[Keys]:
    """As the last look left them, for a look in between that reads no Secret."""
    told = {entry["name"]: entry for entry in bucket.status.get("access") or []}
    return [
        Keys(
            name=access["name"],
            mode=access["mode"],
            secret_name=access["secretName"],
            key_id=told[access["name"]].get("accessKeyId"),
            marks=_lapsed(
                Marks(
                    rotated_for=bucket.status.get("rotatedFor"),
                    previous=told[access["name"]].get("previousAccessKeyId"),
                    until=moment(told[access["name"]].get("previousUntil")),
                ),
                now,
            ),
        )
        for access in bucket.spec.get("access") or []
        if access["name"] in told
    ]


def from_secret(
    bucket: Bucket, access: Json, data: Mapping[str, str] | None, annotations: Mapping[str, str], *, now: datetime
) -> Keys:
    """As its Secret says, `data` being None where there is no Secret; with new keys due where a rotation is asked."""
    asked = bucket.annotations.get(ANNOTATION_ROTATE)
    until = now + timedelta(seconds=seconds(bucket.spec["rotationOverlap"]))
    if data is None or not data.get(ID) or not data.get(KEY):
        # Whoever still has the keys of a Secret that was lost can go on for as long as after a rotation.
        told = {entry["name"]: entry.get("accessKeyId") for entry in bucket.status.get("access") or []}
        lost = told.get(access["name"])
        marks = Marks(rotated_for=asked, previous=lost, until=until if lost else None)
        return _keys(access, None, marks)
    if asked is not None and asked != annotations.get(ANNOTATION_ROTATED_FOR):
        return _keys(access, None, Marks(rotated_for=asked, previous=data[ID], until=until))
    marks = Marks(
        rotated_for=annotations.get(ANNOTATION_ROTATED_FOR),
        previous=annotations.get(ANNOTATION_PREVIOUS_KEY),
        until=moment(annotations.get(ANNOTATION_PREVIOUS_UNTIL)),
    )
    return _keys(access, data[ID], _lapsed(marks, now))


def _keys(access: Json, key_id: str | None, marks: Marks) -> Keys:
    return Keys(name=access["name"], mode=access["mode"], secret_name=access["secretName"], key_id=key_id, marks=marks)


def _lapsed(marks: Marks, now: datetime) -> Marks:
    if marks.previous and marks.until and marks.until > now:
        return marks
    return Marks(rotated_for=marks.rotated_for)


def outlived(bucket: Bucket, keys: Keys, *, now: datetime) -> Keys:
    """With the key that it has as the previous one, before new ones take its place."""
    if keys.key_id is None:
        return keys
    until = now + timedelta(seconds=seconds(bucket.spec["rotationOverlap"]))
    return replace(keys, marks=replace(keys.marks, previous=keys.key_id, until=until))


def next_end(keys: Sequence[Keys], *, now: datetime) -> float | None:
    """Seconds until the first of the previous keys has to go."""
    left = [(each.marks.until - now).total_seconds() for each in keys if each.marks.until]
    return max(0.0, min(left)) if left else None


def secret_data(bucket: Bucket, key_id: str, secret: str) -> dict[str, str]:
    """What the AWS SDKs read from their environment, and what else a user of the bucket needs."""
    store = bucket.spec["store"]
    data = {
        ID: key_id,
        KEY: secret,
        "AWS_ENDPOINT_URL_S3": store["endpoint"],
        "AWS_REGION": store["region"],
        "BUCKET_NAME": bucket.spec["bucketName"],
    }
    if public := store.get("publicEndpoint"):
        data["PUBLIC_ENDPOINT_URL_S3"] = public
    return data
