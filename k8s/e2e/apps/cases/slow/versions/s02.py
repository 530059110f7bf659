"""slow s02"""

from alembic import op

revision = "s02"
down_revision = "s01"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s02')")
    op.execute("SELECT pg_sleep(2)")
