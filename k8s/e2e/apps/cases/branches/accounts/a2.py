"""branches a2"""

from alembic import op

revision = "a2"
down_revision = "a1"


def upgrade() -> None:
    op.execute("CREATE TABLE logins (id serial PRIMARY KEY)")
