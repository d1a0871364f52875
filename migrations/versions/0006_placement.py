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
    # Load by which it is compared with others meanwhile, beside what it carries.
    op.add_column("servers", sa.Column("handicap", sa.Double, nullable=False, server_default="0"))
    _create_registrations()
    op.add_column("tenants", sa.Column("region", sa.Text))
    # How many people there were at the end of each minute of the meeting; NULL: as many as before.
    op.add_column("meetings", sa.Column("curve", postgresql.ARRAY(sa.Integer), nullable=False, server_default="{0}"))
    # Seconds for which all of the expected users are expected, before they fade; and whether besides those who are there.
    op.add_column("meetings", sa.Column("expected_for", sa.Double, nullable=False, server_default="0"))
    op.add_column("meetings", sa.Column("expected_besides", sa.Boolean, nullable=False, server_default="false"))
    # Since when it is taken to be over: ended, or no longer listed. NULL: it goes on.
    op.add_column("meetings", sa.Column("over_since", _TIME))
    # The candidates of the choice with their figures.
    op.add_column("placements", sa.Column("reason", postgresql.JSONB))
    _count_meetings_under_a_lock()
    _create_history()
    _create_foresight()


def _create_registrations() -> None:
    """Servers that register themselves: meetingpool.domain.registrations."""
    for column in ("registered_by", "registration", "registered_state"):
        op.add_column("servers", sa.Column(column, sa.Text))
    op.add_column("servers", sa.Column("registered_until", _TIME))
    # What a token of the role server may register.
    op.add_column("api_tokens", sa.Column("registers", postgresql.JSONB))
    op.create_table(
        "refused_registrations",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("server_id", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("refused_at", _TIME, nullable=False, server_default=sa.func.now()),
    )


def _count_meetings_under_a_lock() -> None:
    """Of the statements in a volatile function each sees what is committed when it begins; those around it may have waited since.

    So whoever has locked a server's row, and counts its meetings by this, counts those of everybody who had the lock before.
    """
    op.execute("""
        CREATE FUNCTION carries_fewer(server text, most integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
            RETURN (SELECT count(*) < most FROM (SELECT FROM meetings WHERE server_id = server LIMIT most) AS counted);
        END $$
    """)


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
        # Whether it is in what is known of its room.
        sa.Column("is_learnt", sa.Boolean, nullable=False, server_default="false"),
    )
    op.create_index("ix_past_meetings_to_learn", "past_meetings", ["id"], postgresql_where=sa.text("NOT is_learnt"))
    op.create_index("ix_past_meetings_room", "past_meetings", ["tenant", "meeting_id", "ended_at"])
    op.create_index("ix_past_meetings_began_at", "past_meetings", ["began_at", "id"])
    _keep_meetings_that_are_over()


def _create_foresight() -> None:
    """What the leading poller foresees: meetingpool.domain.foresight."""
    op.create_table(
        "rooms",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("meeting_id", sa.Text, primary_key=True),
        sa.Column("users", sa.Double, nullable=False),
        sa.Column("holds_for", sa.Double, nullable=False),
        sa.Column("learnt", postgresql.JSONB, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False, server_default=sa.func.now(), index=True),
    )
    op.create_table(
        "upcoming_meetings",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("meeting_id", sa.Text, primary_key=True),
        sa.Column("users", sa.Double, nullable=False),
        sa.Column("chance", sa.Double, nullable=False),
        sa.Column("holds_for", sa.Double, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
    )
    op.create_table(
        "foresight",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, server_default="1"),
        sa.Column("learnt", postgresql.JSONB, nullable=False),
        sa.Column("typical", postgresql.JSONB, nullable=False),
        sa.Column("told_at", _TIME, nullable=False, server_default=sa.func.now()),
    )


def _keep_meetings_that_are_over() -> None:
    """A meeting is over when its row is deleted, or becomes that of another meeting; it has been live if it has an internal id.

    By a trigger, so that no statement that ends meetings can miss it, and none can write it twice. Nobody saw the meeting later
    than at the server's last good poll, so that is when it ended, or at most a minute later: see docs/decisions/0025.
    """
    op.execute("""
        CREATE FUNCTION keep_past_meeting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve)
            SELECT OLD.tenant, OLD.meeting_id, OLD.server_id, OLD.created_at,
                greatest(OLD.created_at, coalesce(OLD.over_since, least(now(), last_poll + interval '1 minute'))), OLD.curve
            FROM servers WHERE id = OLD.server_id;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER meeting_is_gone AFTER DELETE ON meetings FOR EACH ROW
        WHEN (OLD.internal_id IS NOT NULL) EXECUTE FUNCTION keep_past_meeting()
    """)
    op.execute("""
        CREATE TRIGGER meeting_is_another AFTER UPDATE OF internal_id ON meetings FOR EACH ROW
        WHEN (OLD.internal_id IS NOT NULL AND NEW.internal_id IS DISTINCT FROM OLD.internal_id)
        EXECUTE FUNCTION keep_past_meeting()
    """)
