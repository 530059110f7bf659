"""slow s08"""

from alembic import op

revision = "s08"
down_revision = "s07"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s08')")
    op.execute("SELECT pg_sleep(2)")
