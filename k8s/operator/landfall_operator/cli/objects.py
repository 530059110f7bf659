"""What is in a bucket, as an S3 client lists it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from landfall_operator.cli.terminal import Terminal, brief

PAGE = 1000  # S3 gives no more at once
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
KIBI = 1024


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An object, a version of one, or a folder, which has only a key."""

    key: str
    size: int | None = None
    at: datetime | None = None
    version: str = ""
    latest: bool = False
    deleted: bool = False


def entries(
    client: Any, bucket: str, prefix: str, *, recursive: bool, versions: bool, limit: int
) -> tuple[list[Entry], bool]:
    """The first ones by key, and whether there are more."""
    paginator = client.get_paginator("list_object_versions" if versions else "list_objects_v2")
    query = {"Bucket": bucket, "Prefix": prefix} | ({} if recursive else {"Delimiter": "/"})
    found: list[Entry] = []
    for page in paginator.paginate(**query, PaginationConfig={"PageSize": min(limit + 1, PAGE)}):
        found += _ordered(page)
        if len(found) > limit:
            return found[:limit], True
    return found, False


def _ordered(page: Mapping[str, Any]) -> list[Entry]:
    found = [Entry(key=folder["Prefix"]) for folder in page.get("CommonPrefixes") or []]
    for part in ("Contents", "Versions", "DeleteMarkers"):
        found += [_entry(each, deleted=part == "DeleteMarkers") for each in page.get(part) or []]
    return sorted(found, key=lambda e: (e.key, not e.latest, -e.at.timestamp() if e.at else 0))


def _entry(body: Mapping[str, Any], *, deleted: bool) -> Entry:
    return Entry(
        key=body["Key"],
        size=body.get("Size"),
        at=body.get("LastModified"),
        version=body.get("VersionId", ""),
        latest=body.get("IsLatest", False),
        deleted=deleted,
    )


def lines(found: Sequence[Entry], terminal: Terminal, *, versions: bool) -> list[str]:
    """A line each; keys come last and are never cut, so that they can be copied."""
    heads = ("SIZE", "AGE", "VERSION", "") if versions else ("SIZE", "AGE")
    whole = Terminal(colours=terminal.colours, now=terminal.now)
    columns = whole.table([heads, *(_columns(entry, terminal)[: len(heads)] for entry in found)])
    width = max(len(line) for line in columns)
    keys = ["KEY", *(printable(entry.key) for entry in found)]
    return [f"{line.ljust(width)}  {key}" for line, key in zip(columns, keys, strict=True)]


def _columns(entry: Entry, terminal: Terminal) -> tuple[str, ...]:
    age = brief((terminal.now - entry.at).total_seconds()) if entry.at else "-"
    notes: Iterable[str] = ("latest" if entry.latest else "", "delete marker" if entry.deleted else "")
    return sized(entry.size), age, entry.version or "-", ", ".join(filter(None, notes))


def sized(count: int | None) -> str:
    """Bytes as people write them: 512 B, 1.5 KiB."""
    if count is None:
        return "-"
    number, unit = float(count), 0
    while number >= KIBI and unit < len(UNITS) - 1:
        number, unit = number / KIBI, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit else f"{count} B"


def printable(key: str) -> str:
    """A key whose control characters would act on the terminal, or look like several lines, shows them escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in key)
