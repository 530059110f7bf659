"""Artifacts' part sizes: what an upload was announced with, whatever the settings are later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from app.settings import load_settings

revision = "7d42c8e1f936"
down_revision = "5c1e7a94b2f0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artifacts", sa.Column("part_size_bytes", sa.BigInteger))
    # Uploads under way were announced by the settings of today.
    settings = (context.config.attributes.get("settings") or load_settings()).artifacts
    artifacts = sa.table(
        "artifacts",
        sa.column("part_size_bytes", sa.BigInteger),
        sa.column("size_bytes", sa.BigInteger),
        sa.column("state", sa.Text),
    )
    op.execute(
        sa.update(artifacts)
        .where(artifacts.c.state == "pending", artifacts.c.size_bytes >= settings.multipart_threshold_bytes)
        .values(part_size_bytes=settings.part_size_bytes)
    )


def downgrade() -> None:
    op.drop_column("artifacts", "part_size_bytes")
