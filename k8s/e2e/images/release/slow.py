"""A minute's work in short statements, as a batched backfill is."""

from __future__ import annotations

from alembic import op

revision = "e2e000000002"
down_revision = "e2e000000001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for _ in range(60):
        op.execute("SELECT pg_sleep(1)")


def downgrade() -> None:
    pass
