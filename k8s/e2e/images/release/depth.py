"""One more column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e2e000000003"
down_revision = "e2e000000002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sites", sa.Column("depth", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("sites", "depth")
