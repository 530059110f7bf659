"""SQLite's functions answer as PostGIS does, through the expressions that the queries are made of."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
from geoalchemy2 import functions as _renames  # noqa: F401 - its import is what drops the ST_ of some names on SQLite
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    NullPool,
    create_engine,
    event,
    func,
    literal,
    null,
    select,
    text,
)
from sqlalchemy.exc import OperationalError

from app.db import spatial_sqlite
from tests.support.counties import counties
from tests.support.postgres import PostgresServer

EDGE_METRES = 50  # by which an edge of half a degree leaves its great circle
many = limits(max_examples=200, deadline=None, derandomize=True)

# Thirds of a degree need more digits than are written; the grid lets boundaries touch exactly.
# Of what is written with an exponent only examples are tried: PostGIS itself writes "10e-176".
fixed_point = st.floats(-4, 4).filter(lambda n: n == 0 or abs(n) > 1e-8)
degrees = st.one_of(st.integers(-12, 12).map(lambda n: n / 3), fixed_point)
positions = st.tuples(degrees, degrees)


def _box(corner: tuple[float, float]) -> BaseGeometry:
    return shapely.box(corner[0], corner[1], corner[0] + 2, corner[1] + 1)


points = positions.map(shapely.Point)
lines = st.lists(positions, min_size=2, max_size=4, unique=True).map(shapely.LineString)
triangles = st.lists(positions, min_size=3, max_size=3, unique=True).map(shapely.Polygon).filter(lambda p: p.is_valid)
simple = st.one_of(points, lines, triangles, positions.map(_box))
geometries = st.one_of(
    simple,
    st.lists(points, min_size=1, max_size=3).map(shapely.MultiPoint),
    st.lists(lines, min_size=1, max_size=3).map(shapely.MultiLineString),
    st.lists(triangles, min_size=1, max_size=3).map(shapely.MultiPolygon).filter(lambda p: p.is_valid),
    st.lists(simple, min_size=1, max_size=3).map(shapely.GeometryCollection),
)
# Shapes of half a degree anywhere but at the poles and the antimeridian, where the plane ends.
places = st.tuples(st.floats(-179, 179), st.floats(-80, 80))
small = st.one_of(
    places.map(shapely.Point),
    places.map(lambda at: shapely.Polygon([at, (at[0] + 0.5, at[1]), (at[0] + 0.2, at[1] + 0.4)])),
    places.map(lambda at: shapely.LineString([at, (at[0] + 0.3, at[1] + 0.3)])),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda connection, _record: spatial_sqlite.register(connection))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def sqlite(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def postgis(postgres: PostgresServer) -> Iterator[Connection]:
    name = f"spatial_{uuid.uuid4().hex[:8]}"
    url = postgres.create_database(name).replace("postgresql://", "postgresql+psycopg2://")
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE EXTENSION postgis"))
        yield connection
    postgres.drop_database(name)


def stored(geometry: BaseGeometry) -> ColumnElement[Any]:
    return func.ST_GeomFromWKB(literal(shapely.to_wkb(geometry), LargeBinary), 4326)


def on_earth(geometry: BaseGeometry) -> ColumnElement[Any]:
    return func.geography(stored(geometry))


def distance(connection: Connection, one: BaseGeometry, other: BaseGeometry) -> float:
    metres = connection.scalar(select(func.ST_Distance(on_earth(one), on_earth(other))))
    assert isinstance(metres, float)
    return metres


# Two areas of one collection that overlap make PostGIS' ST_Intersects fail for anything but a box, so none are here.
@many
@given(one=simple, other=simple)
def test_intersects_answers_as_postgis(
    sqlite: Connection, postgis: Connection, one: BaseGeometry, other: BaseGeometry
) -> None:
    answers = [c.scalar(select(func.ST_Intersects(stored(one), stored(other)))) for c in (sqlite, postgis)]

    assert bool(answers[0]) is answers[1]


@many
@given(geometry=geometries, corner=positions, width=st.integers(1, 3), height=st.integers(1, 3))
def test_a_box_finds_what_postgis_finds(
    sqlite: Connection,
    postgis: Connection,
    geometry: BaseGeometry,
    corner: tuple[float, float],
    width: int,
    height: int,
) -> None:
    west, south = corner

    def found(connection: Connection) -> bool:
        box = func.ST_MakeEnvelope(west, south, west + width, south + height, 4326)
        return bool(connection.scalar(select(func.ST_Intersects(stored(geometry), box))))

    assert found(sqlite) is found(postgis)


@many
@given(geometry=geometries, digits=st.integers(0, 9))
@example(geometry=shapely.Point(-0.0, 1e-10), digits=9)
@example(geometry=shapely.Point(-4e-9, 180), digits=9)
@example(geometry=shapely.Point(0.1 + 0.2, 0.1234567885), digits=9)
def test_geojson_is_written_as_postgis_writes_it(
    sqlite: Connection, postgis: Connection, geometry: BaseGeometry, digits: int
) -> None:
    answers = [c.scalar(select(func.ST_AsGeoJSON(stored(geometry), digits))) for c in (sqlite, postgis)]

    assert answers[0] == answers[1]


@many
@given(one=small, other=small)
@example(one=shapely.Point(179.9, 1), other=shapely.Point(-179.9, 1))
@example(one=shapely.Point(10, 89.9), other=shapely.Point(-170, 89.9))
@example(one=shapely.Point(0, 0), other=shapely.Point(0, 1e-5))
def test_distances_are_within_half_a_percent_of_postgis(
    sqlite: Connection, postgis: Connection, one: BaseGeometry, other: BaseGeometry
) -> None:
    assert distance(sqlite, one, other) == pytest.approx(distance(postgis, one, other), rel=0.005, abs=EDGE_METRES)


@many
@given(place=places, metres=st.floats(1, 20_000_000), other=small)
def test_near_finds_what_postgis_finds(
    sqlite: Connection, postgis: Connection, place: tuple[float, float], metres: float, other: BaseGeometry
) -> None:
    centre = shapely.Point(place)
    found = [
        bool(c.scalar(select(func.ST_DWithin(on_earth(other), on_earth(centre), metres)))) for c in (sqlite, postgis)
    ]

    on_the_limit = distance(postgis, other, centre) == pytest.approx(metres, rel=0.005, abs=EDGE_METRES)
    assert found[0] == found[1] or on_the_limit


def test_real_counties_are_as_far_from_denver_as_postgis_says(sqlite: Connection, postgis: Connection) -> None:
    denver = shapely.Point(-104.99, 39.74)
    polygons = (c.geometry for c in counties() if c.geometry["type"] == "Polygon")
    shapes = [geojson for geojson in polygons if all(len(ring) > 3 for ring in geojson["coordinates"])]

    for geojson in shapes[::50]:
        county = shapely.geometry.shape(geojson)
        assert distance(sqlite, county, denver) == pytest.approx(distance(postgis, county, denver), rel=0.005)


@pytest.mark.parametrize(
    "expression",
    [
        func.ST_AsGeoJSON(null()),
        func.ST_GeomFromWKB(null(), 4326),
        func.ST_Intersects(null(), func.ST_MakeEnvelope(0, 0, 1, 1, 4326)),
        func.ST_DWithin(func.geography(null()), null(), 1.0),
        func.ST_Distance(null(), null()),
        func.geography(null()),
    ],
    ids=str,
)
def test_null_gives_null(sqlite: Connection, expression: ColumnElement[Any]) -> None:
    assert sqlite.scalar(select(expression.is_(None))) == 1


def test_an_empty_geometry_has_no_distance_and_is_near_nothing(sqlite: Connection, postgis: Connection) -> None:
    empty, place = shapely.Point(), shapely.Point(1, 2)
    for connection in (sqlite, postgis):
        assert connection.scalar(select(func.ST_Distance(on_earth(empty), on_earth(place)))) is None
        assert not connection.scalar(select(func.ST_DWithin(on_earth(empty), on_earth(place), 1e7)))


@pytest.mark.parametrize("blob", [b"", b"not a geometry", shapely.to_wkb(shapely.Point(1, 2))[:-1]])
def test_a_blob_that_is_no_geometry_fails_the_statement_and_the_log_says_why(
    sqlite: Connection, caplog: pytest.LogCaptureFixture, blob: bytes
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(OperationalError):
        sqlite.scalar(select(func.ST_AsGeoJSON(literal(blob, LargeBinary))))

    assert "The SQL function AsGeoJSON failed: " in caplog.text


def test_the_functions_may_stand_in_an_index(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE shapes (geom BLOB)"))
        connection.execute(text("CREATE INDEX by_text ON shapes (AsGeoJSON(geom))"))
        connection.execute(text("INSERT INTO shapes VALUES (:geom)"), {"geom": shapely.to_wkb(shapely.Point(1, 2))})
        found = connection.scalar(text("SELECT AsGeoJSON(geom) FROM shapes"))

    assert json.loads(found) == {"type": "Point", "coordinates": [1, 2]}
