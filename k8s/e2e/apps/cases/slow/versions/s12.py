"""slow s12"""

from alembic import op

revision = "s12"
down_revision = "s11"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s12')")
    op.execute("SELECT pg_sleep(2)")
