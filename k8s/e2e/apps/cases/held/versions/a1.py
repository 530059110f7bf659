"""held a1: at work until the table `go` has a row"""

from alembic import op

revision = "a1"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE audit (at timestamptz DEFAULT now(), revision text)")
    op.execute("INSERT INTO audit (revision) VALUES ('a1')")
    op.execute("DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.2); END LOOP; END $$")
