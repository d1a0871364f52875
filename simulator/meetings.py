"""Meetings and the people in them, as one simulated server holds them.

`SimulatedServer` owns them; the API calls and the documents read them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DIAL_NUMBER = "613-555-1234"


class Role(StrEnum):
    MODERATOR = "MODERATOR"
    VIEWER = "VIEWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was let in. `user_id` is the front end's id, `internal_id` the server's."""

    user_id: str
    internal_id: str
    full_name: str
    role: Role
    session_token: str
    auth_token: str
    is_listening_only: bool = False
    has_joined_voice: bool = False
    has_video: bool = False
    custom_data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingSettings:
    """What a create asked for, its gaps filled by the server. `parent` is the internal id of a breakout room's meeting."""

    meeting_id: str
    name: str
    attendee_password: str
    moderator_password: str
    voice_bridge: str
    dial_number: str = DIAL_NUMBER
    max_participants: int = 0
    duration_minutes: int = 0
    is_recorded: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    sequence: int = 0
    is_free_join: bool = False
    expires_unjoined_minutes: int = 5
    expires_emptied_minutes: int = 1


class SimulatedMeeting:
    """A meeting that is not over. `people` are those who arrived, `waiting` those who were let in and have not."""

    def __init__(self, settings: MeetingSettings, *, created_ms: int, opened_at: float) -> None:
        """`created_ms` by the server's own clock; `opened_at` in seconds of the monotonic clock, which expiry uses."""
        self.settings = settings
        self.created_ms = created_ms
        self.internal_id = f"{hashlib.sha1(settings.meeting_id.encode()).hexdigest()}-{created_ms}"
        self.people: dict[str, Person] = {}
        self.waiting: dict[str, Person] = {}
        self.breakout_rooms: list[str] = []
        self.has_user_joined = False
        self.rendered: bytes | None = None
        self._opened_at = opened_at
        self._emptied_at: float | None = None

    @property
    def meeting_id(self) -> str:
        return self.settings.meeting_id

    @property
    def is_running(self) -> bool:
        return bool(self.people)

    @property
    def is_full(self) -> bool:
        limit = self.settings.max_participants
        return 0 < limit <= len(self.people) + len(self.waiting)

    def arrive(self, session_token: str) -> None:
        """Brings in somebody who was let in; a second arrival with the same token changes nothing."""
        if person := self.waiting.pop(session_token, None):
            self.people[session_token] = person
            self.has_user_joined = True
            self.rendered = None

    def leave(self, session_token: str, now: float) -> None:
        self.waiting.pop(session_token, None)
        if self.people.pop(session_token, None):
            self.rendered = None
            if not self.people:
                self._emptied_at = now

    def add_breakout_room(self, internal_id: str) -> None:
        self.breakout_rooms.append(internal_id)
        self.rendered = None

    def remove_breakout_room(self, internal_id: str) -> None:
        self.breakout_rooms.remove(internal_id)
        self.rendered = None

    def has_expired(self, now: float) -> bool:
        """Whether its duration is over, or nobody came, or everybody left long enough ago. Zero minutes mean never."""
        settings = self.settings
        if _is_over(self._opened_at, settings.duration_minutes, now):
            return True
        if self.people:
            return False
        if self._emptied_at is None:
            return _is_over(self._opened_at, settings.expires_unjoined_minutes, now)
        return _is_over(self._emptied_at, settings.expires_emptied_minutes, now)


def _is_over(since: float, minutes: int, now: float) -> bool:
    return minutes > 0 and now - since >= minutes * 60
