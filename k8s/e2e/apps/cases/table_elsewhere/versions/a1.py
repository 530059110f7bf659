"""table_elsewhere a1"""

from alembic import op

revision = "a1"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE things (id serial PRIMARY KEY)")
