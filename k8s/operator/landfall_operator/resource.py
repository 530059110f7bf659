"""What the three kinds have in common, and the two whose whole state fits into one look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from landfall_operator.constants import GROUP, VERSION

Json = Mapping[str, Any]
Key = tuple[str, str]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A Go duration such as `1h30m` or `500ms`, in seconds."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One object of ours as the API server has it."""

    kind: ClassVar[str]
    body: Json

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def generation(self) -> int:
        return int(self.body["metadata"].get("generation", 0))

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.body["metadata"].get("annotations") or {}

    @property
    def finalizers(self) -> list[str]:
        return list(self.body["metadata"].get("finalizers") or [])

    @property
    def deleted_at(self) -> datetime | None:
        """When its deletion was asked for."""
        return moment(self.body["metadata"].get("deletionTimestamp"))

    @property
    def spec(self) -> Json:
        spec: Json = self.body["spec"]
        return spec

    @property
    def status(self) -> Json:
        return self.body.get("status") or {}

    @property
    def owner_reference(self) -> dict[str, Any]:
        """What makes another object go with it."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
        }


@dataclass(frozen=True, kw_only=True)
class Bucket(Resource):
    kind: ClassVar[str] = "Bucket"

    @property
    def owed(self) -> bool:
        """Whether its deletion has to do something first."""
        return bool(self.spec["deletionPolicy"] != "Retain")


@dataclass(frozen=True, kw_only=True)
class Credential(Resource):
    kind: ClassVar[str] = "Credential"
