"""slow s01"""

from alembic import op

revision = "s01"
down_revision = "s00"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s01')")
    op.execute("SELECT pg_sleep(2)")
