"""Sites: geometries with names and free-form properties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import GeometryColumn, Guid, Json, UtcDateTime, utc_now

revision = "c35d9b1f7a84"
down_revision = "b7e41a60c552"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sites",
        sa.Column("id", Guid, nullable=False),
        sa.Column("owner_id", Guid, nullable=False),
        sa.Column("external_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("properties", Json, nullable=False),
        sa.Column("geom", GeometryColumn, nullable=False),
        sa.Column("created_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("updated_at", UtcDateTime, server_default=utc_now(), nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sites"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_sites_owner_id_users", ondelete="RESTRICT"),
        sa.UniqueConstraint("owner_id", "external_id", name="uq_sites_owner_id_external_id"),
    )
    op.create_index("ix_sites_created_at_id", "sites", ["created_at", "id"])
    op.create_index("ix_sites_name_id", "sites", ["name", "id"])
    op.create_index("ix_sites_kind", "sites", ["kind"])
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_sites_properties", "sites", ["properties"], postgresql_using="gin")
        op.create_index("ix_sites_geom", "sites", ["geom"], postgresql_using="gist")
        op.create_index("ix_sites_geography", "sites", [sa.text("geography(geom)")], postgresql_using="gist")


def downgrade() -> None:
    op.drop_table("sites")
