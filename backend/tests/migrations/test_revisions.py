"""The chain of revisions: one head, each up and down and up again, and nothing left for autogenerate to find."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.artifacts.local import LocalStorage
from app.db import migrate
from app.db.schema_state import BACKEND, alembic_config
from app.db.session import DatabaseSessionManager
from app.models import SiteExport
from app.seed import seed
from app.settings import Settings

FILE_NAME = re.compile(r"\d{8}_\d{4}_[0-9a-f]{12}_[a-z_]+\.py")
PARTS = {
    "postgresql": (
        "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid <> 'spatial_ref_sys'::regclass UNION ALL "
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'spatial_ref_sys' UNION ALL "
        "SELECT concat_ws(' ', table_name, column_name, udt_name, is_nullable, column_default)"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name NOT IN ('spatial_ref_sys', 'geometry_columns', 'geography_columns')"
    ),
    "sqlite": "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL",
}


def revisions() -> list[str]:
    """All revisions, the first one first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def config_for(settings: Settings) -> Config:
    config = alembic_config()
    config.attributes["settings"] = settings
    return config


def schema_of(engine: Engine) -> set[str]:
    """Every column, constraint and index, as the database itself writes it."""
    with engine.connect() as connection:
        return set(connection.scalars(text(PARTS[engine.dialect.name])))


def version_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version


def test_there_is_exactly_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1


def test_file_names_say_when_which_and_what() -> None:
    names = [path.name for path in (BACKEND / "migrations" / "versions").glob("*.py")]
    assert [name for name in names if not FILE_NAME.fullmatch(name)] == []
    assert [name.split("_")[2] for name in sorted(names)] == revisions()


def test_every_revision_goes_up_down_and_up_again(blank: Settings, engine: Engine) -> None:
    first, *others = revisions()
    migrate.upgrade(blank, target=first)
    before = schema_of(engine)
    for revision in others:
        migrate.upgrade(blank, target=revision)
        after = schema_of(engine)
        migrate.downgrade(blank, target="-1")
        assert schema_of(engine) == before, f"{revision} leaves something behind"
        migrate.upgrade(blank, target=revision)
        assert schema_of(engine) == after, f"{revision} makes something else the second time"
        before = after


def test_autogenerate_finds_nothing_to_do_at_head(blank: Settings) -> None:
    migrate.upgrade(blank)
    command.check(config_for(blank))


def test_a_database_with_rows_goes_down_to_nothing_and_up_again(
    blank: Settings, engine: Engine, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path / "artifacts", signing_key=b"k")
    added = []
    for _ in range(2):
        migrate.upgrade(blank)
        with DatabaseSessionManager(blank.database) as database, database.session() as session:
            added.append(seed(blank, session, storage))
        migrate.downgrade(blank, target="base")
        assert inspect(engine).get_table_names() in (["alembic_version"], [])
    assert added == [10, 10]


def test_uploads_under_way_keep_the_part_size_that_they_were_announced_with(blank: Settings, engine: Engine) -> None:
    migrate.upgrade(blank, target="5c1e7a94b2f0")
    threshold = blank.artifacts.multipart_threshold_bytes
    user, columns = "0" * 32, "owner_id, file_name, media_type, sha256, metadata"
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO users (id, email, password_hash, role, locale) VALUES (:id, 'a', '', 'editor', 'en')"),
            {"id": user},
        )
        for number, (state, size) in enumerate(
            [("pending", threshold), ("pending", threshold - 1), ("available", threshold)]
        ):
            values = "VALUES (:id, :user, 'a', 'a/b', :sha256, '{}', :key, :state, :size)"
            connection.execute(
                text(f"INSERT INTO artifacts (id, {columns}, storage_key, state, size_bytes) {values}"),
                {
                    "id": f"{number:032}",
                    "user": user,
                    "sha256": "0" * 64,
                    "key": str(number),
                    "state": state,
                    "size": size,
                },
            )

    migrate.upgrade(blank)

    with engine.connect() as connection:
        kept = connection.scalars(text("SELECT part_size_bytes FROM artifacts ORDER BY storage_key")).all()
    assert kept == [blank.artifacts.part_size_bytes, None, None]


def test_an_export_that_an_older_version_does_not_find_is_left_to_the_reaper(blank: Settings, engine: Engine) -> None:
    migrate.upgrade(blank)
    with Session(engine) as session:
        for number, key in enumerate(["exports/1/2.csv", None]):
            job = SiteExport(format="csv", filters={"number": number}, state="available", storage_key=key)
            session.add(job)
        session.commit()

    migrate.downgrade(blank, target="6b2fd94e17c8")

    with engine.connect() as connection:
        assert connection.scalars(text("SELECT storage_key FROM deleted_objects")).all() == ["exports/1/2.csv"]
        assert connection.scalar(text("SELECT count(*) FROM site_exports")) == 1


def test_going_up_at_head_changes_nothing(blank: Settings, engine: Engine) -> None:
    migrate.upgrade(blank)
    before = schema_of(engine)
    migrate.upgrade(blank)
    assert schema_of(engine) == before


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "kept"), [("postgresql", 3), ("sqlite", 0)], indirect=["dialect"])
def test_a_revision_that_fails_leaves_nothing_half_done(blank: Settings, engine: Engine, kept: int) -> None:
    """On PostgreSQL each revision is one transaction; on SQLite the whole run is."""
    migrate.upgrade(blank, target=revisions()[0])
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE artifacts (in_the_way INTEGER)"))
    with pytest.raises(DBAPIError, match="already exists"):
        migrate.upgrade(blank)
    assert version_of(engine) == revisions()[kept]
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE artifacts"))
    migrate.upgrade(blank)
    assert version_of(engine) == revisions()[-1]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_migration_gives_up_on_a_lock_that_it_does_not_get(blank: Settings, engine: Engine) -> None:
    impatient = blank.database.model_copy(update={"lock_timeout_seconds": timedelta(milliseconds=50)})
    migrate.upgrade(blank)
    with Session(engine) as reader:
        reader.execute(text("SELECT 1 FROM users"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            migrate.downgrade(blank.model_copy(update={"database": impatient}), target="base")
    assert "users" in inspect(engine).get_table_names()


# --- tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_the_sql_that_is_printed_makes_the_same_schema(
    blank: Settings, engine: Engine, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.upgrade(config_for(blank), "head", sql=True)
    connection = engine.raw_connection()
    connection.cursor().execute(capsys.readouterr().out)
    connection.close()
    assert schema_of(engine) == schema_of(create_engine(database_url.replace("postgresql", "postgresql+psycopg2", 1)))


def test_a_new_revision_follows_the_head_in_a_file_with_the_right_name(tmp_path: Path) -> None:
    scratch = tmp_path / "migrations"
    shutil.copytree(BACKEND / "migrations", scratch, ignore=shutil.ignore_patterns("__pycache__"))
    config = Config(BACKEND / "alembic.ini")
    config.set_main_option("script_location", str(scratch))
    command.revision(config, message="Add a column")

    (made,) = {path.name for path in (scratch / "versions").glob("*.py")} - {
        path.name for path in (BACKEND / "migrations" / "versions").iterdir()
    }
    assert FILE_NAME.fullmatch(made)
    assert made.endswith("_add_a_column.py")
    assert ScriptDirectory.from_config(config).get_revision("head").down_revision == revisions()[-1]
