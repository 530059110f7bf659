"""The API server's audit log: what the operators of a run asked for, and what they were answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

OPERATOR = re.compile(r"system:serviceaccount:(landfall-e2e-[^:]+):landfall-operator")
REFUSED = {401, 403}
CREATED = 201
# Without these the operator has no rights: whoever deletes them is answered by refusals until it is gone too.
RIGHTS = {"namespaces", "roles", "rolebindings", "serviceaccounts"}

Verb = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One answered request of an operator."""

    namespace: str
    verb: str
    group: str
    resource: str
    code: int
    at: datetime
    uri: str

    @property
    def used(self) -> set[Verb]:
        """The permissions that it needed. A server-side apply that creates is audited as a patch."""
        verbs = {self.verb, "create"} if self.verb == "patch" and self.code == CREATED else {self.verb}
        return {(self.group, self.resource, verb) for verb in verbs}


@dataclass(frozen=True)
class Log:
    """What operators asked since a moment, and when each namespace lost its operator's rights."""

    requests: list[Request]
    ended: dict[str, datetime]

    def refusals(self) -> list[Request]:
        """Those that nobody had caused by taking the rights away."""
        return [
            request
            for request in self.requests
            if request.code in REFUSED
            and not (request.namespace in self.ended and request.at >= self.ended[request.namespace])
        ]


def read(path: Path, *, since: datetime) -> Log:
    """Read the log and its rotated parts, whose names begin alike."""
    requests: list[Request] = []
    ended: dict[str, datetime] = {}
    parts = sorted(path.parent.glob(f"{path.stem}*{path.suffix}"), key=lambda part: part.stat().st_mtime)
    for event in _events(parts):
        at = datetime.fromisoformat(event["requestReceivedTimestamp"])
        if at < since or event["stage"] not in {"ResponseComplete", "ResponseStarted"}:
            continue
        target = event.get("objectRef") or {}
        if event["verb"] == "delete" and target.get("resource") in RIGHTS:
            place = target.get("namespace") or target.get("name", "")
            ended[place] = min(at, ended.get(place, at))
        elif match := OPERATOR.fullmatch(event["user"].get("username", "")):
            requests.append(_request(match[1], event, at))
    return Log(requests, ended)


def granted(manifest: Path) -> set[Verb]:
    """The permissions of a manifest's Roles."""
    bodies = yaml.safe_load_all(manifest.read_text())
    rules = [rule for body in bodies if body["kind"] in {"Role", "ClusterRole"} for rule in body["rules"]]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _events(parts: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for part in parts:
        with part.open() as lines:
            for line in lines:
                # Most of the log is others' traffic: parse only what can matter.
                if "landfall-" in line and line.endswith("\n"):
                    yield json.loads(line)


def _request(namespace: str, event: dict[str, Any], at: datetime) -> Request:
    target = event.get("objectRef") or {}
    resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource"))))
    return Request(
        namespace=namespace,
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=resource,
        code=(event.get("responseStatus") or {}).get("code", 0),
        at=at,
        uri=event["requestURI"],
    )
