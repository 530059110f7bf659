"""Filters use the indexes that sites have."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, NullPool, create_engine, insert, select, text
from sqlalchemy.orm import Session

from app.db.types import explain
from app.models import Site, User
from app.schemas.crs import CRS84, WEB_MERCATOR, Crs
from app.services.cql2 import compile_filter

ROWS = 5000


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def many_sites(engine: Engine) -> Iterator[Session]:
    """Boxes of a tenth of a degree on a grid, each of a kind of its own; rolled back in the end."""
    owner = uuid.uuid4()
    with Session(engine) as session:
        session.execute(
            insert(User).values(id=owner, email=f"{owner}@example.com", password_hash="", role="viewer", locale="en")
        )
        grid = "ST_MakeEnvelope(n % 100, n / 100, n % 100 + 0.1, n / 100 + 0.1, 4326)"
        columns = "id, owner_id, name, kind, properties, geom"
        values = f"gen_random_uuid(), '{owner}', 'site', 'kind ' || n, '{{}}', {grid}"
        session.execute(text(f"INSERT INTO sites ({columns}) SELECT {values} FROM generate_series(1, {ROWS}) n"))
        session.execute(text("ANALYZE sites"))
        yield session


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("kind = 'kind 7'", "ix_sites_kind"),
        ("kind IN ('kind 7', 'kind 8')", "ix_sites_kind"),
        ("id = '00000000-0000-0000-0000-000000000003'", "pk_sites"),
        ("s_intersects(geometry, BBOX(10,10,11,11))", "ix_sites_geom"),
        ("s_intersects(geometry, POLYGON((10 10,11 10,11 11,10 10)))", "ix_sites_geom"),
        ("s_within(geometry, BBOX(10,10,11,11))", "ix_sites_geom"),
        ("s_contains(geometry, POINT(10.05 10.05))", "ix_sites_geom"),
        ("created_at < TIMESTAMP('2020-01-01T00:00:00Z')", "ix_sites_created_at_id"),
    ],
)
def test_a_filter_uses_the_index(many_sites: Session, condition: str, index: str) -> None:
    assert index in plan(many_sites, condition)


def test_a_box_in_another_system_is_what_is_transformed(many_sites: Session) -> None:
    found = plan(many_sites, "s_intersects(geometry, BBOX(1113194,1118889,1224514,1232106))", crs=WEB_MERCATOR)
    assert "ix_sites_geom" in found
    assert "st_transform" not in found.lower()  # it was, before the rows are looked at


def plan(session: Session, condition: str, *, crs: Crs = CRS84) -> str:
    where = compile_filter(condition, lang="cql2-text", crs=crs)
    return json.dumps(session.execute(explain(select(Site.version).where(where))).all()[0][0])
