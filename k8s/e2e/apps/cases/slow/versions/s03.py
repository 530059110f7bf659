"""slow s03"""

from alembic import op

revision = "s03"
down_revision = "s02"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('s03')")
    op.execute("SELECT pg_sleep(2)")
