"""plain_newer c3"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade() -> None:
    op.execute("ALTER TABLE things ADD COLUMN new text")
