"""altering a1"""

from alembic import op

revision = "a1"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE IF NOT EXISTS busy (id integer)")
