"""filling a1: more than a small disk holds"""

from alembic import op

revision = "a1"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE filler AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) AS n")
