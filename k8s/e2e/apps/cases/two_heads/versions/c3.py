"""two_heads c3"""

from alembic import op

revision = "c3"
down_revision = "a1"


def upgrade() -> None:
    op.execute("SELECT 1")
