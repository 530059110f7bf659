"""large_plan a1: more SQL than a ConfigMap holds"""

from alembic import op

revision = "a1"
down_revision = None

COLUMN = 40 * "w"


def upgrade() -> None:
    for number in range(9000):
        op.execute(
            f"CREATE TABLE table_{number:05} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {COLUMN} text)"
        )
