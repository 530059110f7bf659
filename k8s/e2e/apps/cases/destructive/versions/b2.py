"""destructive b2"""

from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade() -> None:
    op.execute("ALTER TABLE things DROP COLUMN old")
