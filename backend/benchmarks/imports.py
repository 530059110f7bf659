"""Import: 20 000 polygons over HTTP, validated and reported on, against SQLAlchemy's `add_all` of the same."""

from __future__ import annotations

import json
import math
import random
import statistics
import tempfile
import uuid
from pathlib import Path
from time import perf_counter
from typing import Any

import shapely
from geoalchemy2.shape import from_shape
from pydantic import SecretStr
from sqlalchemy import text

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.models import Site, UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from tests.support.postgres import find_postgres
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings

FEATURES = 20_000
POSITIONS = 25
ROUNDS = 5
LIMIT_SECONDS = 300


def feature(number: int) -> dict[str, Any]:
    lon, lat, radius = random.uniform(5, 15), random.uniform(47, 55), random.uniform(0.001, 0.003)
    ring = []
    for step in range(POSITIONS - 1):
        angle, reach = 2 * math.pi * step / (POSITIONS - 1), radius * random.uniform(0.7, 1)
        ring.append([round(lon + reach * math.cos(angle), 7), round(lat + reach * math.sin(angle), 7)])
    properties = {"name": f"Site {number}", "kind": random.choice(["pump", "well"]), "external_id": f"S-{number}"}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {**properties, "properties": {"number": number, "note": "as surveyed"}},
    }


def import_over_http(service: Service, content: bytes) -> float:
    headers = {**service.authorization, "Content-Type": "application/geo+json"}
    with service.client(timeout_seconds=LIMIT_SECONDS) as client:
        start = perf_counter()
        answer = client.post("/api/v1/sites/import", content=content, headers=headers)
        seconds = perf_counter() - start
    assert answer.json()["created"] == FEATURES, answer.text  # noqa: S101
    return seconds


def add_all(database: DatabaseSessionManager, content: bytes, owner_id: uuid.UUID) -> float:
    start = perf_counter()
    with database.session() as session, session.begin():
        features = json.loads(content)["features"]
        shapes = [from_shape(shapely.geometry.shape(one["geometry"]), srid=4326) for one in features]
        session.add_all(
            Site(**one["properties"], owner_id=owner_id, geom=shape)
            for one, shape in zip(features, shapes, strict=True)
        )
    return perf_counter() - start


def empty(database: DatabaseSessionManager) -> None:
    with database.session() as session, session.begin():
        session.execute(text("TRUNCATE sites CASCADE"))


def main() -> None:
    random.seed(7)
    content = json.dumps({"type": "FeatureCollection", "features": list(map(feature, range(FEATURES)))}).encode()
    server = find_postgres()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = server.create_database(f"imports_{uuid.uuid4().hex[:8]}")
        settings = make_settings(directory, database_url=url)
        migrate.upgrade(settings)
        service = Service(directory=directory, environment={"DATABASE_URL": url})
        with DatabaseSessionManager(settings.database) as database:
            body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
            with database.session() as session:
                owner_id = create_user(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=4).id
            service.start()
            try:
                imports, others = [], []
                for _ in range(ROUNDS):
                    empty(database)
                    imports.append(import_over_http(service, content))
                    empty(database)
                    others.append(add_all(database, content, owner_id))
            finally:
                service.stop()
    server.remove()
    ours, theirs = (FEATURES / statistics.median(seconds) for seconds in (imports, others))
    print(f"import over HTTP  {ours:8.0f} features/s")
    print(f"add_all           {theirs:8.0f} features/s")
    print(f"ratio             {ours / theirs:8.1f}")


if __name__ == "__main__":
    main()
