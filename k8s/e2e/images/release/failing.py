"""It names a table that is not there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e2e0000000ff"
down_revision = "e2e000000001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("no_such_table", sa.Column("depth", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("no_such_table", "depth")
