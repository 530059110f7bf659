"""PostGIS, unless it is there already."""

from __future__ import annotations

from alembic import op

revision = "a1f0c2d9e301"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    # Creating needs a superuser, finding does not. The comment tells the downgrade whose extension it is.
    op.execute(
        """
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') THEN
                CREATE EXTENSION IF NOT EXISTS postgis;
                COMMENT ON EXTENSION postgis IS 'created by landfall';
            END IF;
        END $$
        """
    )


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(
        """
        DO $$ BEGIN
            IF (SELECT obj_description(oid, 'pg_extension') = 'created by landfall'
                FROM pg_extension WHERE extname = 'postgis') THEN
                DROP EXTENSION postgis;
            END IF;
        END $$
        """
    )
