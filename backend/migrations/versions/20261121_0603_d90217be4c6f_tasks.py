"""Tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, Tags, UtcDateTime, utc_now

revision = "d90217be4c6f"
down_revision = "c35d9b1f7a84"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", Guid, nullable=False),
        sa.Column("owner_id", Guid, nullable=False),
        sa.Column("site_id", Guid),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("tags", Tags, nullable=False),
        sa.Column("due_at", UtcDateTime),
        sa.Column("completed_at", UtcDateTime),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("updated_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_tasks_owner_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_tasks_site_id_sites", ondelete="SET NULL"),
        sa.CheckConstraint(
            "status IN ('pending', 'in_progress', 'completed', 'cancelled')", name=op.f("ck_tasks_status")
        ),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_tasks_priority")),
        sa.CheckConstraint("(status = 'completed') = (completed_at IS NOT NULL)", name=op.f("ck_tasks_completed_at")),
    )
    op.create_index("ix_tasks_created_at_id", "tasks", ["created_at", "id"])
    for column in ("owner_id", "site_id", "status", "priority", "due_at"):
        op.create_index(f"ix_tasks_{column}", "tasks", [column])
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_tasks_tags", "tasks", ["tags"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("tasks")
