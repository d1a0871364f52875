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
    """What a create asked for, its gaps filled by the server. `parent` is the internal id of a breakout room's meeting.

    `ended_url` is the meetingEndedURL, empty for none.
    """

    meeting_id: str
    name: str
    attendee_password: str
    moderator_password: str
    voice_bridge: str
    dial_number: str = DIAL_NUMBER
    max_participants: int = 0
    duration_minutes: int = 0
    is_recorded: bool = False
    starts_recording: bool = False
    keeps_events: bool = False
    ended_url: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    sequence: int = 0
    is_free_join: bool = False
    expires_unjoined_minutes: int = 5
    expires_emptied_minutes: int = 1


@dataclass(frozen=True, slots=True)
class Visit:
    """The time that somebody was in a meeting, in seconds since 1970 by the server's own clock."""

    person: Person
    joined_at: float
    left_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMeeting:
    """What a server remembers of a meeting that is over. Its internal id is the id of its recording.

    `participants`: how often somebody came. `breakout_rooms`: the internal ids of those that ended with it.
    """

    settings: MeetingSettings
    internal_id: str
    created_ms: int
    ended_ms: int
    participants: int = 0
    breakout_rooms: tuple[str, ...] = ()

    @property
    def meeting_id(self) -> str:
        return self.settings.meeting_id

    @property
    def duration_ms(self) -> int:
        return self.ended_ms - self.created_ms


class SimulatedMeeting:
    """A meeting that is not over. `people` are those who arrived, `waiting` those who were let in and have not.

    `record_was_pressed`: somebody pressed the record button, which does something in a recorded meeting only.
    """

    def __init__(self, settings: MeetingSettings, *, created_ms: int, opened_at: float) -> None:
        """`created_ms` by the server's own clock; `opened_at` in seconds of the monotonic clock, which expiry uses."""
        self.settings = settings
        self.created_ms = created_ms
        self.internal_id = f"{hashlib.sha1(settings.meeting_id.encode()).hexdigest()}-{created_ms}"
        self.people: dict[str, Person] = {}
        self.waiting: dict[str, Person] = {}
        self.breakout_rooms: list[str] = []
        self.has_user_joined = False
        self.record_was_pressed = settings.starts_recording
        self.rendered: bytes | None = None
        self._opened_at = opened_at
        self._emptied_at: float | None = None
        self._arrived_at: dict[str, float] = {}
        self._past_visits: list[Visit] = []

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

    @property
    def presenter(self) -> Person | None:
        people = self.people.values()
        return next((person for person in people if person.role is Role.MODERATOR), next(iter(people), None))

    @property
    def has_recording_marks(self) -> bool:
        """Whether there is something in it to make a recording of."""
        return self.settings.is_recorded and self.record_was_pressed

    def arrive(self, session_token: str, at: float) -> Person | None:
        """Brings in somebody who was let in, and returns them; a second arrival with the same token changes nothing.

        `at` in seconds since 1970 by the server's own clock.
        """
        person = self.waiting.pop(session_token, None)
        if person:
            self.people[session_token] = person
            self._arrived_at[session_token] = at
            self.has_user_joined = True
            self.rendered = None
        return person

    def leave(self, session_token: str, now: float, at: float) -> Person | None:
        """Returns who was in and is gone. `now` in seconds of the monotonic clock, `at` since 1970 by the server's own clock."""
        self.waiting.pop(session_token, None)
        person = self.people.pop(session_token, None)
        if person:
            self._past_visits.append(Visit(person, self._arrived_at.pop(session_token), at))
            self.rendered = None
            if not self.people:
                self._emptied_at = now
        return person

    @property
    def visit_count(self) -> int:
        return len(self._past_visits) + len(self.people)

    def visits_until(self, at: float) -> list[Visit]:
        """Everybody's visits in the order of coming; those who are still in leave `at` this moment."""
        still_in = [Visit(person, self._arrived_at[token], at) for token, person in self.people.items()]
        return sorted(self._past_visits + still_in, key=lambda visit: visit.joined_at)

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
