"""Management: who changed what, who may, how much was used, how servers were, who is told."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # When the use of the pool was counted last.
    op.add_column("installation", sa.Column("usage_counted_at", _TIME))
    # As text it can be sealed as other secrets are: meetingpool.database.sealed_secrets.
    op.alter_column("installation", "callback_key", type_=sa.Text, postgresql_using="encode(callback_key, 'hex')")
    # How the meetings of the last poll were sized: meetingpool.domain.room_sizes.
    op.add_column("servers", sa.Column("rooms", postgresql.JSONB, nullable=False, server_default="{}"))
    _create_audit()
    _create_access()
    _create_history()
    _create_figures()
    _create_alerts()


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("before", postgresql.JSONB),
        sa.Column("after", postgresql.JSONB),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "id"])
    op.create_index("ix_audit_tenant", "audit", ["tenant", "id"], postgresql_where=sa.text("tenant IS NOT NULL"))
    op.create_index("ix_audit_at", "audit", ["at"])


def _create_access() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.Column("revoked_at", _TIME),
    )
    op.create_table(
        "dashboard_sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("token_id", sa.Text, sa.ForeignKey("api_tokens.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", _TIME, nullable=False, index=True),
    )


def _create_history() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("hour", _TIME, primary_key=True),
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("server_id", sa.Text, primary_key=True),
        sa.Column("meeting_seconds", sa.Double, nullable=False),
        sa.Column("person_seconds", sa.Double, nullable=False),
        sa.Column("peak_meetings", sa.Integer, nullable=False),
        sa.Column("peak_people", sa.Integer, nullable=False),
    )
    op.create_index("ix_usage_hours_tenants", "usage_hours", ["hour", "tenant"], postgresql_where=sa.text("server_id = ''"))
    op.create_index("ix_usage_hours_servers", "usage_hours", ["hour", "server_id"], postgresql_where=sa.text("tenant = ''"))
    op.create_table(
        "server_samples",
        sa.Column("server_id", sa.Text, primary_key=True),
        sa.Column("at", _TIME, primary_key=True, index=True),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("load", sa.Double, nullable=False),
        sa.Column("meetings", sa.Integer, nullable=False),
        sa.Column("users", sa.Integer, nullable=False),
    )


def _create_figures() -> None:
    op.create_table(
        "import_seconds",
        sa.Column("up_to", sa.Double, primary_key=True),
        sa.Column("imports", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
    )
    op.create_table(
        "spool_looks",
        sa.Column("directory", sa.Text, primary_key=True),
        sa.Column("unclaimed", sa.Integer, nullable=False),
        sa.Column("looked_at", _TIME, nullable=False),
    )


def _create_alerts() -> None:
    op.create_table(
        "alert_hooks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False, unique=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text)),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "alerts",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("since", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("over_since", _TIME),
    )
