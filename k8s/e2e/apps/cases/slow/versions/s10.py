"""slow s10"""

from alembic import op

revision = "s10"
down_revision = "s09"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s10')")
    op.execute("SELECT pg_sleep(2)")
