"""The version of all sites together: it changes with each commit, and holds no writer up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.orm import Session

from app.queries.site_versions import VERSION
from app.settings import Settings

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

INSERT = (
    "INSERT INTO public.sites (id, owner_id, name, kind, properties, geom)"
    " SELECT gen_random_uuid(), (SELECT id FROM public.users LIMIT 1), 'a', 'k', '{}',"
    " public.ST_SetSRID(public.ST_Point(n, 0), 4326) FROM generate_series(1, 3) n"
)
UPDATE = "UPDATE sites SET name = 'b'"


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """A writer's engine, who waits for nobody's commit; there is a user, and a site."""
    options = "-c lock_timeout=1000"  # milliseconds: a growing table is locked for some of them
    engine = create_engine(settings.database.sqlalchemy_url(), connect_args={"options": options})
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO users (id, email, password_hash, role, locale) VALUES (:id, 'a', '', 'admin', 'en')"),
            {"id": uuid.uuid4()},
        )
        connection.execute(text(INSERT))
    yield engine
    engine.dispose()


def run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def version(engine: Engine) -> str | None:
    with Session(engine) as session:
        return session.scalar(select(VERSION))


def slots(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT slot FROM site_versions")).rowcount


@pytest.mark.parametrize("statement", [INSERT, UPDATE, "DELETE FROM sites", "TRUNCATE sites CASCADE"])
def test_each_kind_of_write_changes_the_version(engine: Engine, statement: str) -> None:
    before = version(engine)
    with engine.begin() as connection:
        run(connection, statement)
    assert version(engine) != before


def test_what_is_rolled_back_leaves_the_version(engine: Engine) -> None:
    before = version(engine)
    with engine.connect() as connection:
        run(connection, UPDATE)
        assert version(engine) == before
        connection.rollback()
    assert version(engine) == before


def test_a_write_after_a_savepoint_that_was_rolled_back_changes_the_version(engine: Engine) -> None:
    before = version(engine)
    with engine.begin() as connection:
        savepoint = connection.begin_nested()
        run(connection, UPDATE)
        savepoint.rollback()
        run(connection, INSERT)
    assert version(engine) != before


def test_writers_do_not_wait_for_one_another_and_each_commit_changes_the_version(engine: Engine) -> None:
    seen = [version(engine)]
    with engine.connect() as first, engine.connect() as second, engine.connect() as third:
        writers = (first, second, third)
        for writer in writers:
            run(writer, INSERT)
        for writer in writers[::-1]:
            writer.commit()
            seen.append(version(engine))
    assert len(set(seen)) == 4
    assert slots(engine) == 3


def test_there_are_never_more_rows_than_there_were_writers_at_once(engine: Engine) -> None:
    def write(_: int) -> None:
        with engine.begin() as connection:
            run(connection, INSERT)
            run(connection, INSERT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    assert slots(engine) <= 4


def test_a_transaction_of_many_writes_takes_one_row(engine: Engine) -> None:
    with engine.connect() as short, engine.connect() as long:
        run(short, INSERT)
        run(long, INSERT)
        short.commit()
        run(long, INSERT)
        run(short, INSERT)
        short.commit()
        long.commit()
    assert slots(engine) == 2


def test_the_next_transaction_of_a_connection_changes_the_version_again(engine: Engine) -> None:
    with engine.connect() as connection:
        seen = []
        for _ in range(3):
            run(connection, INSERT)
            connection.commit()
            seen.append(version(engine))
    assert len(set(seen)) == 3


def test_what_another_transaction_left_in_the_session_does_not_count(engine: Engine) -> None:
    before = version(engine)
    with engine.connect() as connection:
        run(connection, "SET landfall.sites_stamped_by = '7'")
        connection.commit()
        run(connection, INSERT)
        connection.commit()
    assert version(engine) != before


def test_a_version_never_comes_again_with_other_rows(engine: Engine) -> None:
    """As after a restore, or a failover that lost the last commits."""
    with engine.connect() as connection:
        backup = connection.execute(text("SELECT slot, stamp FROM site_versions")).all()
    seen = []
    for statement in (UPDATE, "DELETE FROM sites"):
        with engine.begin() as connection:
            run(connection, "DELETE FROM site_versions")
            for slot, stamp in backup:
                connection.execute(
                    text("INSERT INTO site_versions VALUES (:slot, :stamp)"), {"slot": slot, "stamp": stamp}
                )
        with engine.begin() as connection:
            run(connection, statement)
        seen.append(version(engine))
    assert len(set(seen)) == 2


def test_a_session_with_another_search_path_may_write(engine: Engine) -> None:
    before = version(engine)
    with engine.begin() as connection:
        run(connection, "SET LOCAL search_path = ''")
        run(connection, INSERT)
    assert version(engine) != before


def test_a_temporary_table_of_the_same_name_is_not_mistaken_for_it(engine: Engine) -> None:
    before = version(engine)
    with engine.begin() as connection:
        run(connection, "CREATE TEMPORARY TABLE site_versions (slot uuid, stamp uuid) ON COMMIT DROP")
        run(connection, INSERT)
    assert version(engine) != before


def test_who_may_write_sites_needs_no_right_on_the_versions(engine: Engine) -> None:
    before = version(engine)
    role = f"mapper_{uuid.uuid4().hex[:8]}"
    with engine.begin() as connection:
        run(connection, f"CREATE ROLE {role}")
        run(connection, f"GRANT INSERT ON sites TO {role}")
        run(connection, f"GRANT SELECT ON users TO {role}")
    try:
        with engine.begin() as connection:
            run(connection, f"SET LOCAL ROLE {role}")
            run(connection, INSERT)
    finally:
        with engine.begin() as connection:
            run(connection, f"DROP OWNED BY {role}")
            run(connection, f"DROP ROLE {role}")
    assert version(engine) != before
