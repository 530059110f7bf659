"""slow s13"""

from alembic import op

revision = "s13"
down_revision = "s12"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s13')")
    op.execute("SELECT pg_sleep(2)")
