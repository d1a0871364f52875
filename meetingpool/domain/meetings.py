"""A meeting: which server carries it, and how sure we are.

`reserving` a create was reserved and has no reply yet; `live` the server confirmed it; `unknown` the reply to its
create was lost: pinned until its server says more; `ending` an end was accepted; `lost` its server is dead, and
nobody has created it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from meetingpool.domain.servers import ServerId

DEFAULT_TENANT = "default"


class MeetingKey(NamedTuple):
    """A meeting belongs to one tenant; the same meetingID of two tenants is two meetings."""

    tenant: str
    meeting_id: str


class MeetingState(StrEnum):
    RESERVING = "reserving"
    LIVE = "live"
    UNKNOWN = "unknown"
    ENDING = "ending"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """The mapping of a meeting to its server. `generation` grows each time that a server gets it, and is never
    used twice, not even by a meeting that was forgotten and created anew. `expected_users`: those that the placement counted
    on."""

    key: MeetingKey
    server_id: ServerId
    generation: int
    state: MeetingState
    internal_id: str | None = None
    users: int = 0
    expected_users: float = 0.0
    created_at: datetime | None = None
    voice_bridge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One time that a server got a meeting, as it is remembered when the meeting is long over.

    `callbacks`: the addresses that the front end gave, by the kinds of callbacks.
    """

    generation: int
    key: MeetingKey
    host_id: str
    server_id: ServerId
    callbacks: Mapping[str, str]


class ReportedMeeting(NamedTuple):
    """A meeting as a server's getMeetings lists it. `created_ms` by the server's clock; None when it is not a number."""

    meeting_id: str
    internal_id: str
    created_ms: int | None
    users: int
    videos: int
    is_breakout: bool
    listeners: int = 0
    voices: int = 0


def host_id_of(key: MeetingKey) -> str:
    """The meetingID that the server knows the meeting by: its own, or for a tenant's meeting one that is nobody else's.

    The length of the tenant's id stands before it, so that no two keys make the same text.
    """
    if key.tenant == DEFAULT_TENANT:
        return key.meeting_id
    return sha256(f"{len(key.tenant)}:{key.tenant}:{key.meeting_id}".encode(errors="surrogatepass")).hexdigest()
