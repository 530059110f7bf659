"""Buckets as the API server would show them, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from landfall_operator.resource import Bucket

ENDPOINT = "http://minio:9000"


def bucket(
    *,
    name: str = "files",
    uid: str = "0001",
    status: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    deleted: str | None = None,
    **spec: Any,
) -> Bucket:
    store = {
        "endpoint": ENDPOINT,
        "region": "us-east-1",
        "forcePathStyle": True,
        "accounts": "Scoped",
        "credentialsSecretRef": {
            "name": "minio",
            "accessKeyIdKey": "AWS_ACCESS_KEY_ID",
            "secretAccessKeyKey": "AWS_SECRET_ACCESS_KEY",
        },
    } | spec.pop("store", {})
    metadata = {"namespace": "shop", "name": name, "uid": uid, "generation": 3, "annotations": annotations or {}}
    if deleted:
        metadata["deletionTimestamp"] = deleted
    base = {"bucketName": "shop-files", "deletionPolicy": "Retain", "adopt": "Never", "rotationOverlap": "1h"}
    return Bucket(body={"metadata": metadata, "spec": base | spec | {"store": store}, "status": status or {}})
