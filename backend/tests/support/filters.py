"""Five sites, and which of them a filter finds."""

from __future__ import annotations

import uuid
from datetime import datetime

import shapely
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.models import Site, User
from app.queries.sites import geometry_from_wkb
from app.schemas.crs import CRS84, Crs
from app.services.cql2 import FilterLang, compile_filter

OWNER = uuid.UUID(int=0xABC)
# version, name, kind, external_id, geometry, created_at, updated_at: a site is called by its version below.
SITES = [
    (1, "Pump 7", "pump", "P-7", "POINT(13.4 52.5)", "2026-01-01T00:00:00Z", "2026-01-31T23:59:59.5Z"),
    (2, "STRASSE", "well", None, "POLYGON((0 0,4 0,4 4,0 4,0 0))", "2026-02-01T08:00:00Z", "2026-02-01T08:00:00Z"),
    (3, "Straße", "Well", "Straße", "LINESTRING(2 2,6 6)", "2026-03-01T12:00:00Z", "2026-03-15T00:00:00Z"),
    (
        4,
        "50% a_b\\c",
        "valve",
        "it's\n",
        "MULTIPOINT(178 -18,-172 -14)",
        "2026-03-01T12:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    # Two areas that overlap: GEOS refuses such a collection.
    (
        5,
        "Twins",
        "pump",
        "Twins",
        "GEOMETRYCOLLECTION(POLYGON((20 0,22 0,22 2,20 2,20 0)),POLYGON((21 1,23 1,23 3,21 3,21 1)))",
        "2026-12-31T23:59:59.999999Z",
        "2027-06-01T00:00:00Z",
    ),
]
ALL = {1, 2, 3, 4, 5}


def insert_sites(session: Session) -> None:
    session.add(User(id=OWNER, email="a@example.com", password_hash="", role="viewer", locale="en"))
    session.flush()
    for version, name, kind, external_id, wkt, created_at, updated_at in SITES:
        values = {
            "id": uuid.UUID(int=version),
            "owner_id": OWNER,
            "version": version,
            "name": name,
            "kind": kind,
            "external_id": external_id,
            "properties": {},
            "geom": geometry_from_wkb(shapely.to_wkb(shapely.from_wkt(wkt))),
            "created_at": datetime.fromisoformat(created_at),
            "updated_at": datetime.fromisoformat(updated_at),
        }
        session.execute(insert(Site).values(**values))


def found(session: Session, text: str, *, lang: FilterLang = "cql2-text", crs: Crs = CRS84) -> set[int]:
    condition = compile_filter(text, lang=lang, crs=crs)
    with session.begin_nested():  # what fails leaves the transaction, and so the sites, to the next
        return set(session.scalars(select(Site.version).where(condition)))


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
