"""Audit events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, Inet, Json, UtcDateTime, utc_now

revision = "f8127a3b5d10"
down_revision = "e4586c0a92d7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", Guid, nullable=False),
        sa.Column("occurred_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("actor_id", Guid),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject_id", Guid, nullable=False),
        sa.Column("client", Inet),
        sa.Column("request_id", sa.Text),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_occurred_at_id", "audit_events", ["occurred_at", "id"])
    op.create_index("ix_audit_events_subject_id", "audit_events", ["subject_id"])
    op.create_index("ix_audit_events_actor_id", "audit_events", ["actor_id"])


def downgrade() -> None:
    op.drop_table("audit_events")
