"""Artifacts: files whose bytes lie in the artifact store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, Json, UtcDateTime, utc_now

revision = "e4586c0a92d7"
down_revision = "d90217be4c6f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", Guid, nullable=False),
        sa.Column("owner_id", Guid, nullable=False),
        sa.Column("site_id", Guid),
        sa.Column("task_id", Guid),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("storage_key", sa.Text, nullable=False),
        sa.Column("upload_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("updated_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_artifacts_owner_id_users", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_artifacts_site_id_sites", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_artifacts_task_id_tasks", ondelete="SET NULL"),
        sa.UniqueConstraint("storage_key", name="uq_artifacts_storage_key"),
        sa.CheckConstraint("state IN ('pending', 'verifying', 'available', 'failed')", name=op.f("ck_artifacts_state")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_artifacts_size_bytes")),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_artifacts_sha256")),
    )
    op.create_index("ix_artifacts_created_at_id", "artifacts", ["created_at", "id"])
    for column in ("owner_id", "site_id", "task_id"):
        op.create_index(f"ix_artifacts_{column}", "artifacts", [column])
    op.create_index("ix_artifacts_state_updated_at", "artifacts", ["state", "updated_at"])


def downgrade() -> None:
    op.drop_table("artifacts")
