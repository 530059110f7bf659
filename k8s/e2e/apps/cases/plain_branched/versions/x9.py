"""plain_branched x9"""

from alembic import op

revision = "x9"
down_revision = "a1"


def upgrade() -> None:
    op.execute("CREATE TABLE elsewhere (id serial PRIMARY KEY)")
