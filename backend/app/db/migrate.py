"""Bring the database to a revision, from the command line and from tests."""

from __future__ import annotations

from alembic import command

from app.db.schema_state import alembic_config
from app.settings import Settings


def upgrade(settings: Settings, *, target: str = "head") -> None:
    config = alembic_config()
    config.attributes["settings"] = settings
    command.upgrade(config, target)


def downgrade(settings: Settings, *, target: str) -> None:
    config = alembic_config()
    config.attributes["settings"] = settings
    command.downgrade(config, target)
