"""A version of all sites together, which changes with each commit that wrote to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Guid

revision = "3e8d51f0a7b6"
down_revision = "9ae35b07d4c1"
branch_labels = None
depends_on = None

# A writer stamps a row that no other writer holds, or a new one: nobody waits, and there are never more rows than there
# were writers at once. Stamps are random and not counted: after a restore, or a failover that lost commits, a count
# would be given again to other data. Of one transaction the first statement suffices; the setting that remembers it
# goes with its savepoint. It is the owner's own function, since whoever may write sites need not know of this table.
FUNCTION = """
CREATE FUNCTION stamp_site_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $body$
DECLARE
    free uuid;
BEGIN
    IF current_setting('landfall.sites_stamped_by', true) = pg_current_xact_id()::text THEN
        RETURN NULL;
    END IF;
    SELECT slot INTO free FROM site_versions LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE site_versions SET stamp = gen_random_uuid() WHERE slot = free;
    ELSE
        INSERT INTO site_versions (slot, stamp) VALUES (gen_random_uuid(), gen_random_uuid());
    END IF;
    PERFORM set_config('landfall.sites_stamped_by', pg_current_xact_id()::text, true);
    RETURN NULL;
END
$body$
"""
# Restores and other people's sessions have other search paths; temporary tables come last in ours.
SEARCH_PATH = """
DO $do$
BEGIN
    EXECUTE format('ALTER FUNCTION stamp_site_version() SET search_path = %I, pg_temp', current_schema());
END
$do$
"""
TRIGGER = """
CREATE TRIGGER stamp_site_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON sites
FOR EACH STATEMENT EXECUTE FUNCTION stamp_site_version()
"""
# So that a database that was restored from before this revision has a version of its own.
FIRST = "INSERT INTO site_versions (slot, stamp) VALUES (gen_random_uuid(), gen_random_uuid())"


def upgrade() -> None:
    op.create_table(
        "site_versions",
        sa.Column("slot", Guid, nullable=False),
        sa.Column("stamp", Guid, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_site_versions"),
    )
    if op.get_context().dialect.name == "postgresql":
        for statement in (FUNCTION, SEARCH_PATH, TRIGGER, FIRST):
            op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER stamp_site_version ON sites")
        op.execute("DROP FUNCTION stamp_site_version()")
    op.drop_table("site_versions")
