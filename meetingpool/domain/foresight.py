"""What is foreseen, all together: rooms and their timetable. Kept by the poller that leads, and by `meetingpool simulate`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.rooms import Room, Rooms
from meetingpool.domain.timetable import LATE, WEEK, Timetable, Upcoming

# More people are not believed to come because a front end says so: its hint must not make a pool look full to others.
MOST_BELIEVED = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a front end says of a meeting: that it `expects` so many people, that `at_most` so many get in, how long it `lasts`.

    None: nothing. The last is in seconds.
    """

    expects: float | None = None
    at_most: float | None = None
    lasts: float | None = None

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "Hints":
        """From the parameters of a create. What is no number from 1 says nothing."""
        return cls(
            expects=min(hint, MOST_BELIEVED) if (hint := _number(parameters.get("meta_bbb-meeting-size-hint"))) else None,
            at_most=_number(parameters.get("maxParticipants")),
            lasts=_seconds(parameters.get("duration")),
        )

    def apply(self, expectation: Expectation, *, is_of_room: bool) -> Expectation:
        """What is expected then. What a room's own meetings were like says more than `expects`; nothing is above `at_most`.

        All are expected no longer than the meeting lasts.
        """
        is_hinted = self.expects is not None and not is_of_room
        users = self.expects if is_hinted and self.expects else expectation.users
        return replace(
            expectation,
            besides=expectation.besides and not is_hinted,
            users=users if self.at_most is None else min(users, self.at_most),
            holds_for=expectation.holds_for if self.lasts is None else min(expectation.holds_for, self.lasts),
        )


@dataclass(slots=True)
class Foresight:
    """`began`, `ended` and `advance` tell it what happens, in the order in which it does; times in seconds since 1970."""

    prior: Expectation
    rooms: Rooms = field(init=False)
    timetable: Timetable = field(init=False)

    def __post_init__(self) -> None:
        self.rooms = Rooms(self.prior)
        self.timetable = Timetable(self.rooms)

    def remember(self, rooms: Iterable[tuple[MeetingKey, Room]], now: float) -> None:
        """Takes in rooms as they were known when they were put away, or when the process before ended."""
        for key, room in rooms:
            self.rooms.known[key] = room
            for at in room.starts:
                self.timetable.expect_again(key, at, now)

    def forget_idle(self, now: float) -> None:
        """Puts away rooms that are not to be expected before they begin again: there is no end of rooms that are used once."""
        before = _idle_before(now)
        for key in [key for key, room in self.rooms.known.items() if room.starts[-1] < before]:
            del self.rooms.known[key]
        self.timetable.forget_before(before)

    def state(self) -> dict[str, Any]:
        """What all rooms have in common, for a process to go on with after this one. Rooms themselves are kept one by one."""
        return {**self.rooms.state(), **self.timetable.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The opposite of `state`."""
        self.rooms.restore(state)
        self.timetable.restore(state)

    def of_room(self, key: MeetingKey) -> tuple[Room, Expectation]:
        """A room that is known, and what is expected of its next meeting. Raises KeyError."""
        room, expected = self.rooms.known[key], self.rooms.expected(key)
        return room, expected or self.prior

    def began(self, key: MeetingKey, at: float) -> None:
        self.timetable.began(key, at)

    def ended(self, meeting: PastMeeting) -> Room:
        """Returns the meeting's room as it is known now."""
        return self.rooms.learn(meeting)

    def upcoming(self, now: float, running: Collection[MeetingKey]) -> list[Upcoming]:
        """What room is to be kept for, the largest first."""
        self.timetable.advance(now, running)
        return self.timetable.upcoming(now, running)


def _idle_before(now: float) -> float:
    """What began earlier is expected no more, not even after the longest period."""
    return now - WEEK - LATE


def _seconds(text: str | None) -> float | None:
    minutes = _number(text)
    return None if minutes is None else 60 * minutes


def _number(text: str | None) -> float | None:
    digits = (text or "").strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= 6
    return float(digits) or None if is_number else None
