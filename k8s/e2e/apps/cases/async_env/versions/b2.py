"""async_env b2"""

from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade() -> None:
    op.execute("CREATE TABLE others (id serial PRIMARY KEY)")
