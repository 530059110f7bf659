"""concurrent c1"""

from alembic import op

revision = "c1"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE audit (at timestamptz DEFAULT now(), revision text)")
    op.execute("INSERT INTO audit (revision) VALUES ('c1')")
    op.execute("CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 200000) g")
