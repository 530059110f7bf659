"""What keeps requests honest: idempotency keys with their answers, and failed logins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid, Inet, UtcDateTime, utc_now

revision = "0b93d6f2e845"
down_revision = "f8127a3b5d10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", Guid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_idempotency_keys_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "login_attempts",
        sa.Column("id", Guid, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("client", Inet),
        sa.Column("occurred_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_email_occurred_at", "login_attempts", ["email", "occurred_at"])
    op.create_index("ix_login_attempts_client_occurred_at", "login_attempts", ["client", "occurred_at"])


def downgrade() -> None:
    op.drop_table("login_attempts")
    op.drop_table("idempotency_keys")
