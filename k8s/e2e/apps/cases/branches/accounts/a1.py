"""branches a1"""

from alembic import op

revision = "a1"
down_revision = None
branch_labels = ("accounts",)


def upgrade() -> None:
    op.execute("CREATE TABLE accounts (id serial PRIMARY KEY)")
