"""slow s05"""

from alembic import op

revision = "s05"
down_revision = "s04"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s05')")
    op.execute("SELECT pg_sleep(2)")
