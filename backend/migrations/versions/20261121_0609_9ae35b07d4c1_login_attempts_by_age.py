"""Failed logins by their age, for those that nobody has asked about since."""

from __future__ import annotations

from alembic import op

revision = "9ae35b07d4c1"
down_revision = "7d42c8e1f936"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_login_attempts_occurred_at", "login_attempts", ["occurred_at"])


def downgrade() -> None:
    op.drop_index("ix_login_attempts_occurred_at", table_name="login_attempts")
