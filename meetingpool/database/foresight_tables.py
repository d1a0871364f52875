"""The tables of what was and what is foreseen: meetings that are over, rooms, meetings that may begin soon.

Beside those of `tables.py` and `management_tables.py`, in the same metadata, which whoever needs all tables takes from here.
"""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Identity, Index, Integer, Table, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from meetingpool.database.management_tables import metadata as metadata

# Meetings that are over, by which the next ones of the same room are foreseen.
# Written by triggers of `meetings`, when a row that had an internal id is deleted or gets another one: migration 0006.
past_meetings = Table(
    "past_meetings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("meeting_id", Text, nullable=False),
    Column("server_id", Text, nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False, index=True),
    # As in meetings.
    Column("curve", ARRAY(Integer), nullable=False),
    Column("is_learnt", Boolean, nullable=False, server_default="false"),
    Index("ix_past_meetings_to_learn", "id", postgresql_where=text("NOT is_learnt")),
    Index("ix_past_meetings_room", "tenant", "meeting_id", "ended_at"),
    Index("ix_past_meetings_began_at", "began_at", "id"),
)

# What is known of each room: `users` and `holds_for` are expected of its next meeting, `learnt` is meetingpool.domain.rooms.Room.
rooms = Table(
    "rooms",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("meeting_id", Text, primary_key=True),
    Column("users", Double, nullable=False),
    Column("holds_for", Double, nullable=False),
    Column("learnt", JSONB, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

# What may begin in the coming minutes: meetingpool.domain.timetable.Upcoming. Written anew by the leading poller.
upcoming_meetings = Table(
    "upcoming_meetings",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("meeting_id", Text, primary_key=True),
    Column("users", Double, nullable=False),
    Column("chance", Double, nullable=False),
    Column("holds_for", Double, nullable=False),
    Column("server_id", Text, nullable=False),
)

# One row: what all rooms have in common, the users that are typical of a tenant's new room, and when both were told.
foresight = Table(
    "foresight",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, server_default="1"),
    Column("learnt", JSONB, nullable=False),
    Column("typical", JSONB, nullable=False),
    Column("told_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
