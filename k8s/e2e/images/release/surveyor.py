"""A column that the release before does not know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e2e000000001"
down_revision = "HEAD"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sites", sa.Column("surveyor", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sites", "surveyor")
