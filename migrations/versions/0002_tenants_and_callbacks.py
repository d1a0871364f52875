"""Tenants and their rules, what repeats of a create need, callbacks, webhooks, dial-in numbers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_to_meetings()
    _create_placements()
    _create_tenants()
    _create_outbox()
    _create_hooks()
    _create_installation()


def _add_to_meetings() -> None:
    op.add_column("meetings", sa.Column("voice_bridge", sa.Text))
    op.add_column("meetings", sa.Column("parameters", postgresql.JSONB, nullable=False, server_default="{}"))
    op.add_column("meetings", sa.Column("joining", sa.Integer, nullable=False, server_default="0"))
    op.create_unique_constraint("uq_meetings_voice_bridge", "meetings", ["voice_bridge"])


def _create_placements() -> None:
    op.create_table(
        "placements",
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("host_id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("callbacks", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("generation", name="pk_placements"),
    )
    op.create_index("ix_placements_placed_at", "placements", ["placed_at"])
    # Meetings that run while the schema changes are found by their callbacks and recordings too.
    op.execute("""
        INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, placed_at)
        SELECT generation, tenant, meeting_id, host_id, server_id, created_at FROM meetings
    """)


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secrets", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("checksum_algorithms", postgresql.ARRAY(sa.Text)),
        sa.Column("server_tags", postgresql.ARRAY(sa.Text)),
        sa.Column("max_meetings", sa.Integer),
        sa.Column("max_users", sa.Integer),
        sa.Column("callback_hosts", postgresql.ARRAY(sa.Text)),
        sa.Column("lrs", postgresql.JSONB),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("name", name="uq_tenants_name"),
    )
    op.create_table(
        "tenant_rules",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_rules"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_tenant_rules_tenant_id", ondelete="CASCADE"),
        sa.UniqueConstraint("tenant_id", "call", "name", "operator", name="uq_tenant_rules_tenant_id"),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("payload", postgresql.JSONB, nullable=False),
        sa.Column("announcement", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("announcement", name="uq_outbox_announcement"),
    )
    op.create_index("ix_outbox_due", "outbox", ["next_attempt_at"], postgresql_where=sa.text("state = 'pending'"))
    op.create_index("ix_outbox_settled_at", "outbox", ["settled_at"], postgresql_where=sa.text("state <> 'pending'"))


def _create_hooks() -> None:
    op.create_table(
        "hooks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("callback_url", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text),
        sa.Column("event_ids", postgresql.ARRAY(sa.Text)),
        sa.Column("is_raw", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_hooks"),
        sa.UniqueConstraint("tenant", "callback_url", name="uq_hooks_tenant"),
    )


def _create_installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, nullable=False, server_default="1"),
        sa.Column("callback_key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name="ck_installation_one_row"),
    )
    # Random numbers of the database are cryptographically strong in UUIDs only: two of them hold 244 such bits.
    op.execute("""
        INSERT INTO installation (callback_key)
        SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
    """)


def downgrade() -> None:
    for table in ("installation", "hooks", "outbox", "tenant_rules", "tenants", "placements"):
        op.drop_table(table)
    for column in ("joining", "parameters", "voice_bridge"):
        op.drop_column("meetings", column)
