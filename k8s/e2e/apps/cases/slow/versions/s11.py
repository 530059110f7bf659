"""slow s11"""

from alembic import op

revision = "s11"
down_revision = "s10"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s11')")
    op.execute("SELECT pg_sleep(2)")
