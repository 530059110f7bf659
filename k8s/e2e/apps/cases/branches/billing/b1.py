"""branches b1"""

from alembic import op

revision = "b1"
down_revision = None
branch_labels = ("billing",)


def upgrade() -> None:
    op.execute("CREATE TABLE invoices (id serial PRIMARY KEY)")
