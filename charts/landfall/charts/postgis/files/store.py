"""Moves one dump between /work/dump and the bucket: `store.py put` or `store.py get`."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

BUCKET, PREFIX, DATABASE = (os.environ[name] for name in ("BUCKET_NAME", "BACKUP_PREFIX", "PGDATABASE"))
FILE = Path("/work/dump")
s3 = boto3.client("s3")


def list_dumps() -> list[dict[str, Any]]:
    """Oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}{DATABASE}-")
    found = [entry for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".dump")]
    return sorted(found, key=lambda entry: entry["LastModified"])


def put() -> None:
    key = f"{PREFIX}{DATABASE}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    s3.upload_file(str(FILE), BUCKET, key)
    stored, meant = s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], FILE.stat().st_size
    if stored != meant:
        sys.exit(f"postgis: {BUCKET}/{key} has {stored} bytes and the dump {meant}: run the backup again")
    print(f"postgis: {BUCKET}/{key} has {stored} bytes")
    oldest = datetime.now(UTC) - timedelta(days=int(os.environ["KEEP_DAYS"]))
    for entry in list_dumps()[:-1]:
        if entry["LastModified"] < oldest:
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
            print(f"postgis: deleted {BUCKET}/{entry['Key']} of {entry['LastModified']:%Y-%m-%d}")


def get() -> None:
    known = [entry["Key"] for entry in list_dumps()]
    key = os.environ["RESTORE_KEY"] or (known[-1] if known else "")
    if not known or key not in known:
        there = ", ".join(known[-5:]) or "none"
        sys.exit(f"postgis: no dump {key or '*'} in {BUCKET}/{PREFIX}; there are: {there}. Set RESTORE_KEY to one")
    s3.download_file(BUCKET, key, str(FILE))
    print(f"postgis: fetched {BUCKET}/{key}, {FILE.stat().st_size} bytes")


{"put": put, "get": get}[sys.argv[1]]()
