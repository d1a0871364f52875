"""Servers, meetings and leases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("admin_state", sa.Text, nullable=False, server_default="disabled"),
        sa.Column("health", sa.Text, nullable=False, server_default="offline"),
        sa.Column("load", sa.Double, nullable=False, server_default="0"),
        sa.Column("load_multiplier", sa.Double, nullable=False, server_default="1"),
        sa.Column("tags", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("region", sa.Text),
        sa.Column("meetings", sa.Integer, nullable=False, server_default="0"),
        sa.Column("users", sa.Integer, nullable=False, server_default="0"),
        sa.Column("largest_meeting", sa.Integer, nullable=False, server_default="0"),
        sa.Column("videos", sa.Integer, nullable=False, server_default="0"),
        sa.Column("bbb_version", sa.Text),
        sa.Column("last_poll", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("successes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("flaps", sa.Integer, nullable=False, server_default="0"),
        sa.Column("offline_since", sa.DateTime(timezone=True)),
        sa.Column("empty_polls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
        sa.UniqueConstraint("url", name="uq_servers_url"),
    )
    op.execute(sa.schema.CreateSequence(sa.Sequence("meeting_generations")))
    op.create_table(
        "meetings",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False, server_default=sa.text("nextval('meeting_generations')")),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("internal_id", sa.Text),
        sa.Column("users", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expected_users", sa.Double, nullable=False),
        sa.Column("open_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("tenant", "meeting_id", name="pk_meetings"),
        sa.UniqueConstraint("host_id", name="uq_meetings_host_id"),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name="fk_meetings_server_id"),
    )
    op.create_index("ix_meetings_server_id", "meetings", ["server_id"])
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def downgrade() -> None:
    op.drop_table("leases")
    op.drop_table("meetings")
    op.execute(sa.schema.DropSequence(sa.Sequence("meeting_generations")))
    op.drop_table("servers")
