"""Demonstration data: a login, tasks, sites and a file. Running it again changes nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import shapely
from pydantic import SecretStr
from sqlalchemy.orm import Session

from app.artifacts.storage import ArtifactStorage
from app.errors import SettingsError
from app.models import Artifact, ArtifactState, Locale, Site, Task, TaskPriority, TaskStatus, User, UserRole
from app.queries.sites import geometry_from_wkb
from app.services.users import hash_password
from app.settings import Environment, Settings

DEMO_EMAIL = "test@example.com"
DEMO_PASSWORD = "landfall-demo"  # noqa: S105 - it is printed, and refused in production
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's for URLs: ids are the same each time

BERLIN_PARK = [(13.365, 52.513), (13.377, 52.513), (13.377, 52.519), (13.365, 52.519), (13.365, 52.513)]
PLAN = b"Pumping station 7: close the north valve first.\n"


def seed(settings: Settings, session: Session, storage: ArtifactStorage) -> int:
    """Add what is missing, and return how many rows that was; raises `SettingsError` in production."""
    if settings.environment is Environment.PRODUCTION:
        raise SettingsError("ENVIRONMENT: is production, and demonstration data has a public password")
    with session.begin():
        known = session.get(User, _id("user"))
    # An old hash is kept: hashing takes a fifth of a second, at each start.
    password_hash = (
        known.password_hash if known else hash_password(SecretStr(DEMO_PASSWORD), rounds=settings.auth.bcrypt_rounds)
    )
    added = 0
    with session.begin():
        for row in _rows(password_hash):
            if session.get(type(row), row.id) is None:
                session.add(row)
                session.flush()
                added += 1
    key = f"artifacts/{_id('plan')}"
    if storage.stat(key) is None:
        storage.put(key, BytesIO(PLAN), media_type="text/plain")
    return added


def _id(name: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"https://landfall.dev/seed/{name}")


def _rows(password_hash: str) -> Iterator[Any]:
    owner = {"owner_id": _id("user")}
    yield User(id=_id("user"), email=DEMO_EMAIL, password_hash=password_hash, role=UserRole.ADMIN, locale=Locale.EN)
    station, park = shapely.Point(13.405, 52.52), shapely.Polygon(BERLIN_PARK)
    for name, kind, geometry, properties in (
        ("Pumping station 7", "pump", station, {"depth_m": 3.5}),
        ("Weather mast", "mast", shapely.Point(13.3, 52.47), {"height_m": 40}),
        ("Park, south meadow", "park", park, {"trees": 120}),
    ):
        geom = geometry_from_wkb(shapely.to_wkb(geometry))
        yield Site(id=_id(name), name=name, kind=kind, external_id=kind, properties=properties, geom=geom, **owner)
    yield from _tasks(owner)
    yield Artifact(
        id=_id("plan"),
        site_id=_id("Pumping station 7"),
        file_name="valve plan.txt",
        media_type="text/plain",
        size_bytes=len(PLAN),
        sha256=hashlib.sha256(PLAN).hexdigest(),
        storage_key=f"artifacts/{_id('plan')}",
        state=ArtifactState.AVAILABLE,
        details={},
        **owner,
    )


def _tasks(owner: dict[str, uuid.UUID]) -> Iterator[Task]:
    now = datetime.now(UTC)
    pending, completed = TaskStatus.PENDING, TaskStatus.COMPLETED
    for title, status, priority, tags, due_in_days in (
        ("Read the meter", pending, TaskPriority.URGENT, ["meter", "north"], -2),
        ("Replace the seal", pending, TaskPriority.NORMAL, ["pump"], 7),
        ("Paint the mast", completed, TaskPriority.LOW, ["mast", "paint"], 3),
        ("Count the trees", completed, TaskPriority.NORMAL, ["park"], None),
        ("Close the north valve", completed, TaskPriority.HIGH, ["pump", "north"], -1),
    ):
        yield Task(
            id=_id(title),
            title=title,
            description="",
            status=status,
            priority=priority,
            tags=tags,
            due_at=now + timedelta(days=due_in_days) if due_in_days is not None else None,
            completed_at=now if status == completed else None,
            site_id=_id("Pumping station 7") if "pump" in tags else None,
            **owner,
        )
