"""concurrent c3"""

from alembic import op

revision = "c3"
down_revision = "c2"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('c3')")
