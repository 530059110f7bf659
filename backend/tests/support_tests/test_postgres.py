from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.support.database import empty_all_tables
from tests.support.postgres import PostgresServer, find_postgres
from tests.support.tools import MissingToolError


def engine_for(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)


@pytest.fixture
def engine(new_database_url: str) -> Iterator[Engine]:
    engine = engine_for(new_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (id serial PRIMARY KEY, body text)"))
    yield engine
    engine.dispose()


def test_the_server_offers_postgis(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION postgis"))
        assert connection.scalar(text("SELECT ST_AsText(ST_Point(1, 2))")) == "POINT(1 2)"


def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    wrong = postgres.address.set(drivername="postgresql+psycopg2", password="not-this-one")
    with pytest.raises(OperationalError, match="password authentication failed"):
        create_engine(wrong, poolclass=NullPool).connect()


def test_a_database_copies_its_template(postgres: PostgresServer, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (body) VALUES ('kept')"))

    copy = engine_for(postgres.create_database("copied", template=str(engine.url.database)))

    with copy.connect() as connection:
        assert connection.scalar(text("SELECT body FROM notes")) == "kept"
    postgres.drop_database("copied")


def test_emptying_removes_rows_and_starts_numbers_anew(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (body) VALUES ('a'), ('b')"))
    with engine.begin() as connection:
        empty_all_tables(connection)

    with engine.begin() as connection:
        assert connection.scalars(text("SELECT body FROM notes")).all() == []
        assert connection.scalar(text("INSERT INTO notes (body) VALUES ('c') RETURNING id")) == 1


@pytest.mark.fault
def test_a_killed_server_keeps_what_it_acknowledged_and_its_address(own_postgres: PostgresServer) -> None:
    engine = engine_for(own_postgres.url("postgres"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (body text)"))
        connection.execute(text("INSERT INTO notes VALUES ('acknowledged')"))

    own_postgres.stop(immediate=True)
    with pytest.raises(OperationalError):
        engine.connect()
    own_postgres.start_again()

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT body FROM notes")) == "acknowledged"


def test_a_given_server_is_taken_first_and_never_stopped(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", postgres.url("postgres"))
    given = find_postgres()

    with pytest.raises(MissingToolError, match="TEST_DATABASE_URL names a shared one"):
        given.stop()
    assert given.address == postgres.address


def test_its_repr_hides_the_password(postgres: PostgresServer) -> None:
    assert str(postgres.address.password) not in repr(postgres)
