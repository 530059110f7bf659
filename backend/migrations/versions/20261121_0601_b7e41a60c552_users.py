"""Users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, UtcDateTime, utc_now

revision = "b7e41a60c552"
down_revision = "a1f0c2d9e301"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", Guid, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("updated_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower_case")),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name=op.f("ck_users_role")),
        sa.CheckConstraint("locale IN ('en', 'de')", name=op.f("ck_users_locale")),
    )
    op.create_index("ix_users_created_at_id", "users", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("users")
