"""slow s06"""

from alembic import op

revision = "s06"
down_revision = "s05"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s06')")
    op.execute("SELECT pg_sleep(2)")
