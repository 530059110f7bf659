"""The rows that all sides serve: polygons of 25 points, some 200 of them on each tile of zoom 10, however many."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import atan, degrees, pi, sinh, sqrt
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL
from tests.support.settings import make_settings

ZOOM = 10
A_TILE = 200  # rows on a tile of that zoom
CENTRE = (540, 340)  # the tile in the middle, in Germany

# The corners lie around the centre at 0.6 to 1 of a radius of 30 to 300 m, so that every polygon is valid.
INSERT = text(
    """
    INSERT INTO sites (id, owner_id, external_id, name, kind, properties, geom, version, created_at, updated_at)
    SELECT md5('site ' || number)::uuid, :owner_id, 'S-' || lpad(number::text, 8, '0'), 'Site ' || number,
           (ARRAY['pump', 'mast', 'park', 'valve'])[1 + number % 4],
           jsonb_build_object('depth_m', number % 50, 'operator', 'Crew ' || number % 97, 'status', 'in service',
                              'inspected', date '2026-01-01' + number % 300),
           ST_SetSRID(ST_MakePolygon(ST_MakeLine(ARRAY(
               SELECT ST_MakePoint(
                   lon + radius / cos(radians(lat)) * (0.8 + 0.2 * sin(number * (corner % 24))) * cosd(corner * 15),
                   lat + radius * (0.8 + 0.2 * sin(number * (corner % 24))) * sind(corner * 15)
               ) FROM generate_series(0, 24) AS corner ORDER BY corner
           ))), 4326),
           1, moment, moment
    FROM (
        SELECT number, :west + (:east - :west) * random() AS lon,
               degrees(atan(sinh(radians(:south_mercator + (:north_mercator - :south_mercator) * random())))) AS lat,
               (30 + 270 * random()) / 111320 AS radius,
               timestamptz '2025-01-01' + number * interval '10 seconds' AS moment
        FROM generate_series(1, :rows) AS number
    ) AS places
    """
)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A square of tiles of zoom 10: the first one and how many in each direction."""

    x: int
    y: int
    across: int

    @classmethod
    def of(cls, rows: int) -> Extent:
        across = max(1, round(sqrt(rows / A_TILE)))
        return cls(x=CENTRE[0] - across // 2, y=CENTRE[1] - across // 2, across=across)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        west, north = corner(ZOOM, self.x, self.y)
        east, south = corner(ZOOM, self.x + self.across, self.y + self.across)
        return west, south, east, north


def corner(zoom: int, x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude of a tile's north-western corner."""
    return x / 2**zoom * 360 - 180, degrees(atan(sinh(pi * (1 - 2 * y / 2**zoom))))


def mercator(y: float) -> float:
    """Degrees of Web Mercator's ordinate at the upper edge of a row of tiles."""
    return 180 * (1 - 2 * y / (1 << ZOOM))


def fill(url: str, directory: Path, *, rows: int) -> None:
    """Migrate, make an editor, and insert the rows."""
    settings = make_settings(directory, database_url=url)
    migrate.upgrade(settings)
    body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        owner = create_user(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=4)
    with connect(url) as connection:
        insert(connection, owner_id=owner.id, rows=rows)


def insert(connection: Connection, *, owner_id: uuid.UUID, rows: int) -> None:
    """The same rows each time."""
    extent = Extent.of(rows)
    west, _, east, _ = extent.box
    latitudes = {"south_mercator": mercator(extent.y + extent.across), "north_mercator": mercator(extent.y)}
    connection.execute(text("SELECT setseed(0.5)"))
    connection.execute(INSERT, {"owner_id": owner_id, "rows": rows, "west": west, "east": east} | latitudes)
    connection.execute(text("VACUUM (ANALYZE) sites"))


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection that commits each statement and, unlike the service's, lets it take its time."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
