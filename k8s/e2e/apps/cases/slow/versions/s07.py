"""slow s07"""

from alembic import op

revision = "s07"
down_revision = "s06"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s07')")
    op.execute("SELECT pg_sleep(2)")
