"""Where a database stands, as seen from the revisions of this code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db.schema_state import SchemaInspector, SchemaState

HEAD = SchemaInspector().head


def at(session: Session, revisions: Sequence[str]) -> SchemaInspector:
    """Put the database at these revisions, and look."""
    session.execute(text("DELETE FROM alembic_version"))
    for revision in revisions:
        session.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
    return SchemaInspector()


@pytest.mark.parametrize(
    ("revisions", "state", "ready"),
    [
        ([], SchemaState.UNVERSIONED, False),
        (["a1f0c2d9e301"], SchemaState.BEHIND, False),
        ([HEAD], SchemaState.UP_TO_DATE, True),
        (["ffffffffffff"], SchemaState.AHEAD, True),
        ([HEAD, "ffffffffffff"], SchemaState.AHEAD, True),
        ([HEAD, "a1f0c2d9e301"], SchemaState.BEHIND, False),
    ],
)
def test_a_schema_is_ready_at_the_head_or_newer(
    session: Session, revisions: list[str], state: SchemaState, *, ready: bool
) -> None:
    status = at(session, revisions).status(session)
    assert (status.state, status.ready, status.head) == (state, ready, HEAD)
    assert set(status.current) == set(revisions)


def test_a_database_without_any_schema_is_unversioned(session: Session) -> None:
    session.execute(text("DROP TABLE alembic_version"))
    inspector = SchemaInspector()
    assert inspector.status(session).state is SchemaState.UNVERSIONED
    assert inspector.last_seen is None


def test_the_revision_that_was_seen_last_is_remembered(session: Session) -> None:
    inspector = at(session, ["a1f0c2d9e301"])
    assert inspector.last_seen is None
    inspector.status(session)
    assert inspector.last_seen == "a1f0c2d9e301"
