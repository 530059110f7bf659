"""Deleted objects: storage keys that late uploads may fill again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime, utc_now

revision = "5c1e7a94b2f0"
down_revision = "0b93d6f2e845"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deleted_objects",
        sa.Column("storage_key", sa.Text, nullable=False),
        sa.Column("deleted_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.PrimaryKeyConstraint("storage_key", name="pk_deleted_objects"),
    )
    op.create_index("ix_deleted_objects_deleted_at", "deleted_objects", ["deleted_at"])


def downgrade() -> None:
    op.drop_table("deleted_objects")
