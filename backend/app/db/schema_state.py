"""Where the database's schema stands, seen from the revisions that this code carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, String, Table, inspect, select
from sqlalchemy.orm import Session

BACKEND = Path(__file__).parents[2]
ALEMBIC_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))


class SchemaState(StrEnum):
    UNVERSIONED = "unversioned"
    BEHIND = "behind"
    UP_TO_DATE = "up-to-date"
    AHEAD = "ahead"


@dataclass(frozen=True, kw_only=True)
class SchemaStatus:
    state: SchemaState
    current: tuple[str, ...]
    head: str

    @property
    def ready(self) -> bool:
        """A newer database serves older code: that is what makes a rollback and a rolling update safe."""
        return self.state in {SchemaState.UP_TO_DATE, SchemaState.AHEAD}


def alembic_config() -> Config:
    config = Config(BACKEND / "alembic.ini")
    config.set_main_option("script_location", str(BACKEND / "migrations"))
    return config


@cache
def _revisions() -> tuple[str, frozenset[str]]:
    """The head and all revisions of this code: a file to load for each."""
    script = ScriptDirectory.from_config(alembic_config())
    (head,) = script.get_heads()
    return head, frozenset(revision.revision for revision in script.walk_revisions())


class SchemaInspector:
    """Knows the image's revisions; reads the database's."""

    def __init__(self) -> None:
        self._head, self._known = _revisions()
        self._last_seen: str | None = None

    @property
    def head(self) -> str:
        return self._head

    @property
    def last_seen(self) -> str | None:
        """The database's revision at the last look; None before one, and for a database without."""
        return self._last_seen

    def status(self, session: Session) -> SchemaStatus:
        current: tuple[str, ...] = ()
        if inspect(session.connection()).has_table(ALEMBIC_VERSION.name):
            current = tuple(sorted(session.scalars(select(ALEMBIC_VERSION.c.version_num))))
        self._last_seen = ",".join(current) or None
        return SchemaStatus(state=self._judge(current), current=current, head=self._head)

    def _judge(self, current: tuple[str, ...]) -> SchemaState:
        if not current:
            return SchemaState.UNVERSIONED
        if any(revision not in self._known for revision in current):
            return SchemaState.AHEAD
        return SchemaState.UP_TO_DATE if current == (self._head,) else SchemaState.BEHIND
