"""The tables. Times are the database's own, so that no process needs the right clock."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

servers = Table(
    "servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("admin_state", Text, nullable=False, server_default="disabled"),
    Column("health", Text, nullable=False, server_default="offline"),
    Column("load", Double, nullable=False, server_default="0"),
    Column("load_multiplier", Double, nullable=False, server_default="1"),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("region", Text),
    Column("meetings", Integer, nullable=False, server_default="0"),
    Column("users", Integer, nullable=False, server_default="0"),
    Column("largest_meeting", Integer, nullable=False, server_default="0"),
    Column("videos", Integer, nullable=False, server_default="0"),
    Column("bbb_version", Text),
    Column("last_poll", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("successes", Integer, nullable=False, server_default="0"),
    Column("failing_since", DateTime(timezone=True)),
    Column("flaps", Integer, nullable=False, server_default="0"),
    Column("offline_since", DateTime(timezone=True)),
    # Polls in a row that saw no meeting at all: a cordoned server is retired after the second.
    Column("empty_polls", Integer, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Generations of all meetings come from one sequence, so that none is ever used again, not even by a meeting that was forgotten
# and created anew: whatever is late with an old one matches nothing.
generations = Sequence("meeting_generations", metadata=metadata)

meetings = Table(
    "meetings",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("meeting_id", Text, nullable=False),
    # The meetingID on the server. Unique, so that what a server reports belongs to one meeting.
    Column("host_id", Text, nullable=False, unique=True),
    Column("server_id", Text, ForeignKey("servers.id"), nullable=False, index=True),
    Column("generation", BigInteger, generations, server_default=generations.next_value(), nullable=False),
    Column("state", Text, nullable=False),
    Column("internal_id", Text),
    Column("users", Integer, nullable=False, server_default="0"),
    # The users that the placement counted on.
    Column("expected_users", Double, nullable=False),
    # Creates under way that may yet reach the server. A reservation moves to another server only when there is no other.
    Column("open_attempts", Integer, nullable=False, server_default="0"),
    Column("attempted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant", "meeting_id"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)
