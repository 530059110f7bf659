"""concurrent c2"""

from alembic import op

revision = "c2"
down_revision = "c1"


def upgrade() -> None:
    op.execute("INSERT INTO audit (revision) VALUES ('c2')")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY big_id ON big (id)")
