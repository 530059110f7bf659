"""Exports of sites as jobs: who asked for which, who writes it, and until when its file is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, Json, UtcDateTime, utc_now

revision = "6b2fd94e17c8"
down_revision = "3e8d51f0a7b6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "site_exports",
        sa.Column("id", Guid, nullable=False),
        sa.Column("owner_id", Guid),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("filters", Json, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("claim", Guid),
        sa.Column("due_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("attempts", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("sites", sa.BigInteger),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("failure", sa.Text),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("expires_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_site_exports"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_site_exports_owner_id_users", ondelete="SET NULL"),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'available', 'failed')", name=op.f("ck_site_exports_state")
        ),
    )
    op.create_index("ix_site_exports_created_at_id", "site_exports", ["created_at", "id"])
    op.create_index("ix_site_exports_owner_id", "site_exports", ["owner_id"])
    op.create_index("ix_site_exports_state_due_at", "site_exports", ["state", "due_at"])


def downgrade() -> None:
    op.drop_table("site_exports")
