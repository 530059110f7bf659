"""What a reader needs when a test failed: what the cluster said at that moment, without the seeded passwords."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from cluster import ClusterError, Namespace
from servers import SPELLINGS
from stores import ROOT_SECRET

OPERATOR_LINES = 40
JOB_LINES = 60
MANY = 6  # resources of a kind whose whole status is shown

Section = tuple[str, str]


def sections(namespace: Namespace, about: str) -> list[Section]:
    """Titled texts about the resources that have this in their names, or all; a lost namespace has an error."""
    try:
        return [(title, redacted(text)) for title, text in _sections(namespace, about)]
    except ClusterError as error:
        return [(namespace.name, redacted(str(error)))]


def redacted(text: str) -> str:
    for spelling in (*SPELLINGS, ROOT_SECRET, ROOT_SECRET[::-1]):
        text = text.replace(spelling, "[seeded password]")
    return text


def _sections(namespace: Namespace, about: str) -> Iterator[Section]:
    name = namespace.name
    yield f"{name}: pods", namespace.kubectl("get", "pods", "-o", "wide", check=False)
    for kind in ("migration", "bucket", "credential"):
        every = namespace.list(kind)
        for body in ([body for body in every if about in body["metadata"]["name"]] or every)[:MANY]:
            status = {key: value for key, value in (body.get("status") or {}).items() if key != "lineage"}
            shown = yaml.safe_dump(status, sort_keys=False, width=160)
            yield f"{name}: {body['kind']} {body['metadata']['name']}", shown
            if kind == "migration":
                yield from _jobs(namespace, body)
    lines = namespace.kubectl("logs", "deploy/landfall-operator", f"--tail={OPERATOR_LINES}", check=False)
    yield f"{name}: the operator's last lines", lines


def _jobs(namespace: Namespace, migration: dict[str, Any]) -> Iterator[Section]:
    for job in namespace.list("job", labels=f"landfall.dev/migration-uid={migration['metadata']['uid']}")[-2:]:
        job_name = job["metadata"]["name"]
        command = ("logs", f"job/{job_name}", "-c", "migrate", f"--tail={JOB_LINES}")
        yield f"{namespace.name}: Job {job_name}", namespace.kubectl(*command, check=False)
