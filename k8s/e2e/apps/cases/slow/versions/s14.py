"""slow s14"""

from alembic import op

revision = "s14"
down_revision = "s13"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s14')")
    op.execute("SELECT pg_sleep(2)")
