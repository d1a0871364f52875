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
    # How the meetings of the last poll were sized: meetingpool.domain.room_sizes.
    Column("rooms", JSONB, nullable=False, server_default="{}"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # What it can carry: above the soft limits it gets meetings when no other has room, above the others none. NULL: no limit.
    Column("max_meetings", Integer),
    Column("max_users", Integer),
    Column("soft_meetings", Integer),
    Column("soft_users", Integer),
    # Since when it is online again, for the slow start.
    Column("online_since", DateTime(timezone=True)),
    # Load by which it is compared with others meanwhile, beside what it carries.
    Column("handicap", Double, nullable=False, server_default="0"),
    # The name of the token with which it registered itself, what became of that, and until when it holds or held; NULL: an
    # administrator added it. The state that a renewal gives it; NULL: an administrator decided on it since.
    Column("registered_by", Text),
    Column("registration", Text),
    Column("registered_state", Text),
    Column("registered_until", DateTime(timezone=True)),
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
    # The users that the placement counted on, for how many seconds on all of them, and whether besides those who are there.
    Column("expected_users", Double, nullable=False),
    Column("expected_for", Double, nullable=False, server_default="0"),
    Column("expected_besides", Boolean, nullable=False, server_default="false"),
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
    # How many people there were at the end of each minute of the meeting; NULL: as many as before.
    Column("curve", ARRAY(Integer), nullable=False, server_default="{0}"),
    # Since when it is taken to be over: ended, or no longer listed. NULL: it goes on.
    Column("over_since", DateTime(timezone=True)),
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
    # The candidates of the choice with their figures: meetingpool.domain.placement.
    Column("reason", JSONB),
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
    # Where its people are.
    Column("region", Text),
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
    # Signs the addresses that servers call back. In hexadecimal digits, and sealed as all secrets are.
    Column("callback_key", Text, nullable=False),
    # Where servers reach us, as the last webhook that was registered here showed it; NULL as long as there has been none.
    Column("hooks_base_url", Text),
    # What the storage of recordings must hold to be ours; NULL until it was first used.
    Column("storage_id", Text),
    # When the use of the pool was counted last.
    Column("usage_counted_at", DateTime(timezone=True)),
)

recordings = Table(
    "recordings",
    metadata,
    Column("record_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    # The front end's meetingID.
    Column("meeting_id", Text, nullable=False),
    Column("internal_id", Text),
    Column("name", Text, nullable=False, server_default=""),
    Column("is_breakout", Boolean, nullable=False, server_default="false"),
    Column("breakout", JSONB),
    Column("breakout_rooms", ARRAY(Text), nullable=False, server_default="{}"),
    # What front ends see, and what was last asked for.
    Column("state", Text, nullable=False, server_default="processing"),
    Column("wanted", Text, nullable=False),
    Column("protected", Boolean, nullable=False, server_default="false"),
    # In milliseconds since 1970.
    Column("start_ms", BigInteger, nullable=False, server_default="0"),
    Column("end_ms", BigInteger, nullable=False, server_default="0"),
    Column("participants", Integer),
    # In bytes.
    Column("raw_size", BigInteger),
    # What servers delivered, what front ends edited (null: taken away), and what both make together.
    Column("delivered", JSONB, nullable=False, server_default="{}"),
    Column("edited", JSONB, nullable=False, server_default="{}"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    # As getRecordings shows it, written whenever any of this changes.
    Column("document", LargeBinary, nullable=False, server_default=""),
    # Whether all files are where `wanted` says, and nothing waits to be placed.
    Column("is_settled", Boolean, nullable=False, server_default="false"),
    # Who moves its files now, and until when nobody else does.
    Column("mover", Text),
    Column("mover_until", DateTime(timezone=True)),
    # Of the meeting: which placement, and which of the meetings made under it, is told that it is ready.
    Column("generation", BigInteger),
    Column("mark", Text),
    # The formats that were last announced, as a text of their names.
    Column("announced", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deleted_at", DateTime(timezone=True)),
    Index("ix_recordings_record_id_prefix", "record_id", postgresql_ops={"record_id": "text_pattern_ops"}),
    Index("ix_recordings_meeting_id", "tenant", "meeting_id"),
    Index("ix_recordings_start", "tenant", text("start_ms DESC"), text("record_id DESC"), postgresql_include=["state"]),
    # Few are in other states than published, and lists of those go through few rows.
    Index(
        "ix_recordings_not_published",
        "tenant",
        "state",
        text("start_ms DESC"),
        text("record_id DESC"),
        postgresql_where=text("state <> 'published'"),
    ),
    Index("ix_recordings_metadata", "metadata", postgresql_using="gin", postgresql_ops={"metadata": "jsonb_path_ops"}),
    Index("ix_recordings_unsettled", "record_id", postgresql_where=text("NOT is_settled")),
    Index("ix_recordings_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)

# The formats of recordings whose files are in the library.
recording_formats = Table(
    "recording_formats",
    metadata,
    Column("record_id", Text, ForeignKey("recordings.record_id", ondelete="CASCADE"), nullable=False),
    Column("format", Text, nullable=False),
    # As the server described it: meetingpool.domain.recordings.PlaybackFormat.
    Column("description", JSONB, nullable=False),
    Column("location", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # Of every file: path, bytes, sha256 (meetingpool.library.manifest). Its digest tells whether two deliveries are the same.
    Column("manifest", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("record_id", "format"),
)

# Formats that were unpacked and wait to be placed in the library, instead of the ones that are there.
recording_arrivals = Table(
    "recording_arrivals",
    metadata,
    Column("record_id", Text, ForeignKey("recordings.record_id", ondelete="CASCADE"), nullable=False),
    Column("format", Text, nullable=False),
    # The directory under the work directory that holds `format/record_id`.
    Column("directory", Text, nullable=False),
    # Of that directory, by which it is known after it was moved.
    Column("inode", BigInteger, nullable=False),
    Column("description", JSONB, nullable=False),
    Column("files", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    PrimaryKeyConstraint("record_id", "format"),
)

# Archives that were claimed from spool directories, until some time after they are in the library.
imports = Table(
    "imports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # The spool directory, the archive's name there, and its name since it was claimed.
    Column("spool", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("file", Text, nullable=False, unique=True),
    # As it was last seen. An import begins when they have not changed for a while.
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", Text, nullable=False, server_default="waiting"),
    # Counts the tries, and tells the last one from those before: a late worker writes nothing.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("holder", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Why it was refused, or why the last try failed.
    Column("reason", Text),
    Column("detail", Text),
    Column("failing_since", DateTime(timezone=True)),
    Column("record_ids", ARRAY(Text), nullable=False, server_default="{}"),
    # Each as `record_id/format`.
    Column("formats", ARRAY(Text), nullable=False, server_default="{}"),
    # Of the running import: bytes of the archive that were read, and files that were written.
    Column("bytes_done", BigInteger, nullable=False, server_default="0"),
    Column("files_done", Integer, nullable=False, server_default="0"),
    # Whose it is, by the word of an administrator; and that it may bring a deleted recording back.
    Column("tenant", Text),
    Column("is_forced", Boolean, nullable=False, server_default="false"),
    Column("claimed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    Index("ix_imports_due", "next_attempt_at", "id", postgresql_where=text("state IN ('waiting', 'working')")),
    Index("ix_imports_state", "state", "id"),
)

# Links that open something once, and were used. Kept until they would no longer be accepted anyway.
used_links = Table(
    "used_links",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
)

# Subtitles that front ends uploaded, as WebVTT.
text_tracks = Table(
    "text_tracks",
    metadata,
    Column("record_id", Text, ForeignKey("recordings.record_id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("record_id", "kind", "lang"),
)
