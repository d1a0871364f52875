"""The tables of those who run the pool: what was changed and by whom, who may, how much was used, who is told.

Beside `tables.py`, which holds those of meetings and recordings, in the same metadata.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from meetingpool.database.tables import metadata as metadata

# One row for every change that somebody made, or would have been the last to know of. Never changed.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # How somebody came, and who it was: meetingpool.domain.audit.Actor.
    Column("actor_kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text),
    Column("request_id", Text),
    # What was done, as `servers.cordon`, and to what.
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # Whose it is, where it is a tenant's.
    Column("tenant", Text),
    # What was changed, before and after; secrets only by the word that they were.
    Column("before", JSONB),
    Column("after", JSONB),
    Index("ix_audit_subject", "subject", "id"),
    Index("ix_audit_tenant", "tenant", "id", postgresql_where=text("tenant IS NOT NULL")),
    Index("ix_audit_at", "at"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # SHA-256 of the token, which nobody can read again.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    # The one tenant that a tenant's administrator sees.
    Column("tenant", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Text, nullable=False),
    # NULL: until it is revoked.
    Column("expires_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    # What one of the role server may register: meetingpool.domain.registrations.RegistrationRules. NULL for other roles.
    Column("registers", JSONB),
)

# Servers that registered themselves and that an administrator removed: these tokens do not bring them back.
refused_registrations = Table(
    "refused_registrations",
    metadata,
    Column("token", Text, primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("refused_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# People who are signed in to the dashboard. Whatever ends their token ends this.
dashboard_sessions = Table(
    "dashboard_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("token_id", Text, ForeignKey("api_tokens.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
)

# How much was used in each hour: by each tenant on each server, and in sums, where '' stands for all tenants or all servers. Sums
# have rows of their own, because the peak of a sum is not the sum of peaks.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("server_id", Text, primary_key=True),
    Column("meeting_seconds", Double, nullable=False),
    Column("person_seconds", Double, nullable=False),
    Column("peak_meetings", Integer, nullable=False),
    Column("peak_people", Integer, nullable=False),
    # What is mostly asked for are the sums of tenants and of servers, which are few among the rows of an hour.
    Index("ix_usage_hours_tenants", "hour", "tenant", postgresql_where=text("server_id = ''")),
    Index("ix_usage_hours_servers", "hour", "server_id", postgresql_where=text("tenant = ''")),
)

# How long imports took, from the claim of an archive to the library: how many up to each bound, and their sum.
import_seconds = Table(
    "import_seconds",
    metadata,
    Column("up_to", Double, primary_key=True),
    Column("imports", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)

# What the last look into each spool directory found and left there.
spool_looks = Table(
    "spool_looks",
    metadata,
    Column("directory", Text, primary_key=True),
    Column("unclaimed", Integer, nullable=False),
    Column("looked_at", DateTime(timezone=True), nullable=False),
)

# How each server was, every few minutes, for some days.
server_samples = Table(
    "server_samples",
    metadata,
    Column("server_id", Text, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True, index=True),
    Column("health", Text, nullable=False),
    Column("load", Double, nullable=False),
    Column("meetings", Integer, nullable=False),
    Column("users", Integer, nullable=False),
)

# Addresses that are told when administrators ought to know something.
alert_hooks = Table(
    "alert_hooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    # NULL: all kinds.
    Column("kinds", ARRAY(Text)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# What administrators were told is so, until it is over, so that they are told once.
alerts = Table(
    "alerts",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Since when it is no longer so. What comes again soon is the same alert still, and nobody is told anew.
    Column("over_since", DateTime(timezone=True)),
)
