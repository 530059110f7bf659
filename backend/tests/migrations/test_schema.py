"""What the catalogs say after the last revision: PostGIS, every index and constraint, and what the planner uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import shapely
from sqlalchemy import CheckConstraint, Connection, event, inspect, text
from sqlalchemy.orm import Session

import app.models  # noqa: F401 - fills Base.metadata
from app.db.base import Base
from app.queries.sites import Area, fetch_sites
from app.queries.tasks import fetch_tasks
from app.schemas.site import SiteListQuery
from app.schemas.task import TaskListQuery

ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

B_TREES = {
    "artifacts": ["created_at,id", "owner_id", "site_id", "state,updated_at", "task_id"],
    "audit_events": ["actor_id", "occurred_at,id", "subject_id"],
    "idempotency_keys": ["created_at"],
    "login_attempts": ["client,occurred_at", "email,occurred_at", "occurred_at"],
    "site_exports": ["created_at,id", "owner_id", "state,due_at"],
    "sites": ["created_at,id", "kind", "name,id"],
    "tasks": ["created_at,id", "due_at", "owner_id", "priority", "site_id", "status"],
    "users": ["created_at,id"],
}
ON_DELETE = {
    "fk_artifacts_owner_id_users": "RESTRICT",
    "fk_artifacts_site_id_sites": "SET NULL",
    "fk_artifacts_task_id_tasks": "SET NULL",
    "fk_idempotency_keys_user_id_users": "CASCADE",
    "fk_site_exports_owner_id_users": "SET NULL",
    "fk_sites_owner_id_users": "RESTRICT",
    "fk_tasks_owner_id_users": "CASCADE",
    "fk_tasks_site_id_sites": "SET NULL",
}


def quoted(sql: str) -> list[str]:
    return re.findall(r"'([^']*)'", sql)


@ON_POSTGRESQL
def test_geometries_are_postgis_columns_in_wgs_84(session: Session) -> None:
    columns = session.execute(
        text("SELECT f_table_name, f_geometry_column, type, srid, coord_dimension FROM geometry_columns")
    )
    assert columns.all() == [("sites", "geom", "GEOMETRY", 4326, 2)]


@ON_POSTGRESQL
def test_every_index_is_there_by_its_kind(session: Session) -> None:
    found = session.execute(
        text(
            "SELECT t.relname, am.amname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
            " JOIN pg_am am ON am.oid = x.relam WHERE t.relnamespace = 'public'::regnamespace"
            " AND NOT i.indisunique AND i.indisvalid"
        )
    )
    have = {(table, kind, definition.split("(", 1)[1][:-1].replace(" ", "")) for table, kind, definition in found}
    special = {
        ("sites", "gist", "geom"),
        ("sites", "gist", "geography(geom)"),
        ("sites", "gin", "properties"),
        ("tasks", "gin", "tags"),
    }
    assert special | {(table, "btree", columns) for table, all_of in B_TREES.items() for columns in all_of} <= have


def test_what_references_a_row_that_is_deleted_follows_refuses_or_forgets(session: Session) -> None:
    inspector = inspect(session.connection())
    found = {
        key["name"]: key["options"].get("ondelete")
        for table in Base.metadata.tables
        for key in inspector.get_foreign_keys(table)
    }
    assert found.items() >= ON_DELETE.items()
    assert None not in found.values()


def test_every_name_follows_the_convention(session: Session) -> None:
    inspector = inspect(session.connection())
    for table in Base.metadata.tables:
        assert inspector.get_pk_constraint(table)["name"] == f"pk_{table}"
        for unique in inspector.get_unique_constraints(table):
            assert unique["name"] == "_".join(["uq", table, *unique["column_names"]])
        for key in inspector.get_foreign_keys(table):
            assert key["name"] == f"fk_{table}_{key['constrained_columns'][0]}_{key['referred_table']}"
        for check in inspector.get_check_constraints(table):
            assert (check["name"] or "").startswith(f"ck_{table}_")
        for index in inspector.get_indexes(table):
            assert (index["name"] or "").startswith((f"ix_{table}_", f"uq_{table}_"))


def test_the_checks_admit_what_the_models_enums_have(session: Session) -> None:
    """Autogenerate does not compare checks: a value that is added to an enum alone would be refused by the database."""
    inspector = inspect(session.connection())
    for name, table in Base.metadata.tables.items():
        declared = {str(c.name): quoted(str(c.sqltext)) for c in table.constraints if isinstance(c, CheckConstraint)}
        found = {str(check["name"]): quoted(check["sqltext"]) for check in inspector.get_check_constraints(name)}
        assert found == declared


def test_times_and_versions_come_from_the_database(session: Session) -> None:
    inspector = inspect(session.connection())
    for name, table in Base.metadata.tables.items():
        for column in inspector.get_columns(name):
            assert (column["default"] is not None) == (table.c[column["name"]].server_default is not None)


# --- the planner ---------------------------------------------------------------------------------------------------


@pytest.fixture
def many_rows(session: Session) -> Session:
    """Enough rows for the planner to want an index, over the whole earth."""
    session.execute(
        text(
            "INSERT INTO users (id, email, password_hash, role, locale)"
            " VALUES (gen_random_uuid(), 'a', '', 'admin', 'en')"
        )
    )
    session.execute(
        text(
            "INSERT INTO sites (id, owner_id, name, kind, properties, geom, created_at)"
            " SELECT gen_random_uuid(), u.id, 'n' || n, 'k', '{}',"
            " ST_SetSRID(ST_Point(n % 360 - 180, n % 170 - 85), 4326), now() - n * interval '1 s'"
            " FROM users u, generate_series(1, 1500) n"
        )
    )
    session.execute(
        text(
            "INSERT INTO tasks (id, owner_id, title, description, status, priority, tags, created_at)"
            " SELECT gen_random_uuid(), u.id, 't', '', 'pending', 'low', ARRAY['t' || n % 1000],"
            " now() - n * interval '1 s' FROM users u, generate_series(1, 1500) n"
        )
    )
    session.execute(text("ANALYZE sites, tasks"))
    return session


def plan_of(session: Session, ask: Callable[[], object]) -> str:
    """The plans of the statements that `ask` runs."""
    ran: list[tuple[str, Any]] = []

    def note(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        ran.append((statement, parameters))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    ask()
    event.remove(connection, "before_cursor_execute", note)
    return "\n".join(
        line for sql, given in ran for line in connection.exec_driver_sql(f"EXPLAIN {sql}", given).scalars()
    )


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("query", "area", "index"),
    [
        (SiteListQuery(), Area(boxes=[(10, 40, 12, 42)]), "ix_sites_geom"),
        (SiteListQuery(), Area(boxes=[(179, 40, 180, 42), (-180, 40, -179, 42)]), "ix_sites_geom"),
        (SiteListQuery(), Area(near=(shapely.to_wkb(shapely.Point(13.4, 52.5)), 50_000.0)), "ix_sites_geography"),
        (SiteListQuery(limit=20), Area(), "ix_sites_created_at_id"),
        (SiteListQuery(limit=20, sort="-created_at"), Area(), "ix_sites_created_at_id"),
        (SiteListQuery(limit=20, sort="name"), Area(), "ix_sites_name_id"),
    ],
)
def test_lists_of_sites_are_answered_from_an_index(
    many_rows: Session, query: SiteListQuery, area: Area, index: str
) -> None:
    assert index in plan_of(many_rows, lambda: fetch_sites(many_rows, query, area=area))


@ON_POSTGRESQL
def test_a_page_after_a_cursor_starts_in_the_index(many_rows: Session) -> None:
    first = fetch_sites(many_rows, SiteListQuery(limit=20), area=Area())
    query = SiteListQuery(limit=20, cursor=first.next)
    plan = plan_of(many_rows, lambda: fetch_sites(many_rows, query, area=Area()))
    assert re.search(r"Backward using ix_sites_created_at_id.*\n *Index Cond: \(ROW\(created_at, id\) <", plan)


@ON_POSTGRESQL
@pytest.mark.parametrize("query", [TaskListQuery(tags_any=["t7"]), TaskListQuery(tags_all=["t7", "t8"])])
def test_tasks_are_found_by_tag_from_the_index(many_rows: Session, query: TaskListQuery) -> None:
    assert "ix_tasks_tags" in plan_of(many_rows, lambda: fetch_tasks(many_rows, query))
