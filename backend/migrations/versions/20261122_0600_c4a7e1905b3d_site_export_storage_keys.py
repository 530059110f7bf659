"""Exports of sites say where their files are: each attempt writes an object of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c4a7e1905b3d"
down_revision = "6b2fd94e17c8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("site_exports", sa.Column("storage_key", sa.Text))


def downgrade() -> None:
    # An older version does not find these files: the reaper removes them, and nobody is told of them.
    op.execute(
        "INSERT INTO deleted_objects (storage_key) SELECT storage_key FROM site_exports WHERE storage_key IS NOT NULL"
    )
    op.execute("DELETE FROM site_exports WHERE storage_key IS NOT NULL")
    op.drop_column("site_exports", "storage_key")
