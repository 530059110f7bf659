"""slow s09"""

from alembic import op

revision = "s09"
down_revision = "s08"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s09')")
    op.execute("SELECT pg_sleep(2)")
