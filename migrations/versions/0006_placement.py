"""Placement that looks ahead: limits and places of servers, meetings that are over, reasons of choices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for limit in ("max_meetings", "max_users", "soft_meetings", "soft_users"):
        op.add_column("servers", sa.Column(limit, sa.Integer))
    # Since when it is online again, for the slow start.
    op.add_column("servers", sa.Column("online_since", _TIME))
    # A server that registered itself is taken out when this has passed without a renewal; NULL: an administrator added it.
    op.add_column("servers", sa.Column("registered_by", sa.Text))
    op.add_column("servers", sa.Column("registered_until", _TIME))
    op.add_column("tenants", sa.Column("region", sa.Text))
    # How many people there were at the end of each minute of the meeting; NULL: as many as before.
    op.add_column("meetings", sa.Column("curve", postgresql.ARRAY(sa.Integer), nullable=False, server_default="{0}"))
    # The candidates of the choice with their figures.
    op.add_column("placements", sa.Column("reason", postgresql.JSONB))
    _create_history()


def _create_history() -> None:
    op.create_table(
        "past_meetings",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=False, index=True),
        sa.Column("curve", postgresql.ARRAY(sa.Integer), nullable=False),
    )
    op.create_index("ix_past_meetings_room", "past_meetings", ["tenant", "meeting_id", "ended_at"])
