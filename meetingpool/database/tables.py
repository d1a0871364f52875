"""The tables. Times are the database's own, so that no process needs the right clock."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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
    # The number that callers dial to get in. Unique, so that it leads to one meeting.
    Column("voice_bridge", Text, unique=True),
    # What the first create said that a repeat must say again: passwords, voice bridge, metadata.
    Column("parameters", JSONB, nullable=False, server_default="{}"),
    # People who were sent to the meeting since its last poll.
    Column("joining", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("tenant", "meeting_id"),
)

# One row for each time that a server got a meeting. Stays when the meeting is over: callbacks and recordings come later.
placements = Table(
    "placements",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("meeting_id", Text, nullable=False),
    Column("host_id", Text, nullable=False),
    Column("server_id", Text, nullable=False),
    # The callback URLs that the front end gave, by the mark of each meeting that was made, and by kind.
    Column("callbacks", JSONB, nullable=False, server_default="{}"),
    Column("placed_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    Index("ix_placements_host_id", "host_id", "generation"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    # What the tenant is recognised by: the first label of the host name, or the path.
    Column("name", Text, nullable=False, unique=True),
    Column("secrets", ARRAY(Text), nullable=False),
    # NULL where the tenant has no rule of its own.
    Column("checksum_algorithms", ARRAY(Text)),
    Column("server_tags", ARRAY(Text)),
    Column("max_meetings", Integer),
    Column("max_users", Integer),
    Column("callback_hosts", ARRAY(Text)),
    Column("lrs", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

tenant_rules = Table(
    "tenant_rules",
    metadata,
    # Later rules win, so the order of the ids is the order of the rules.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("call", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False, server_default=""),
    UniqueConstraint("tenant_id", "call", "name", "operator"),
)

# Callbacks on their way to front ends. Written in the transaction of what they announce, signed when they are sent.
outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("meeting_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    # What was announced once is not announced again.
    Column("announcement", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("settled_at", DateTime(timezone=True)),
    Column("last_error", Text),
    # The webhook that an event is for. Of each, the oldest event that waits is told first, and none beside it.
    Column("hook_id", Text),
    Index("ix_outbox_due", "next_attempt_at", postgresql_where=text("state = 'pending' AND hook_id IS NULL")),
    Index("ix_outbox_hook", "hook_id", "id", postgresql_where=text("state = 'pending' AND hook_id IS NOT NULL")),
    Index("ix_outbox_settled_at", "settled_at", postgresql_where=text("state <> 'pending'")),
)

# Webhooks that front ends registered here.
hooks = Table(
    "hooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("callback_url", Text, nullable=False),
    # NULL: of all meetings of the tenant, all events.
    Column("meeting_id", Text),
    Column("event_ids", ARRAY(Text)),
    Column("is_raw", Boolean, nullable=False, server_default="false"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Since when no event could be told; NULL after one was.
    Column("failing_since", DateTime(timezone=True)),
    UniqueConstraint("tenant", "callback_url"),
)

# One row, made with the schema: what belongs to this installation and to no process of it.
installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, server_default="1"),
    # Signs the addresses that servers call back.
    Column("callback_key", LargeBinary, nullable=False),
    # Where servers reach us, as the last webhook that was registered here showed it; NULL as long as there has been none.
    Column("hooks_base_url", Text),
)
