"""slow s00"""

from alembic import op

revision = "s00"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE audit (at timestamptz DEFAULT now(), revision text)")
    op.execute("INSERT INTO audit (revision) VALUES ('s00')")
    op.execute("SELECT pg_sleep(2)")
