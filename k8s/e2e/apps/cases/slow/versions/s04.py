"""slow s04"""

from alembic import op

revision = "s04"
down_revision = "s03"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s04')")
    op.execute("SELECT pg_sleep(2)")
