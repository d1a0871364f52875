"""Meetings that are over: when they were, and how many people were in them. What plans and simulations are made of."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import ceil

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.servers import ServerId

MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMeeting:
    """One meeting, from begin to end. A room has one each time that it is used; that of a room which moved ended there.

    `curve`: how many people there were at the end of each minute, the first at [0]. None: as many as the minute before. It ends
    with the last change that was seen, and its last minute is what is known of all later ones.
    """

    key: MeetingKey
    server_id: ServerId
    began_at: datetime
    ended_at: datetime
    curve: tuple[int | None, ...]

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.ended_at - self.began_at).total_seconds()

    @property
    def peak(self) -> int:
        """The most people at the end of a minute."""
        return max((people for people in self.curve if people is not None), default=0)

    def people_at(self, minute: int) -> int:
        """How many people there were at the end of a minute, the first being 0. Nobody before the begin and after the end."""
        if minute < 0 or minute * MINUTE >= self.seconds:
            return 0
        return next((people for people in reversed(self.curve[: minute + 1]) if people is not None), 0)

    def people(self) -> Iterator[int]:
        """How many there were at the end of each minute until the meeting's end, the begun one included."""
        return islice(_going_on(self.curve), ceil(self.seconds / MINUTE))

    def stays(self) -> list[tuple[float, float]]:
        """Who may have been there, as `stays` says."""
        return stays(self.curve, self.seconds)


def stays(curve: Sequence[int | None], seconds: float) -> list[tuple[float, float]]:
    """The shortest list of (join, leave), in seconds since the begin, that gives the curve of a meeting of so many seconds.

    Who came first leaves first, and the last leave with the end. A minute's change counts from its begin: who joins at second 60
    is there at the end of the second minute, and who leaves at second 60 is not.
    """
    found: list[tuple[float, float]] = []
    present: deque[float] = deque()
    for minute, people in enumerate(islice(_going_on(curve), min(len(curve), ceil(seconds / MINUTE)))):
        at = minute * MINUTE
        present.extend([at] * (people - len(present)))
        found.extend((present.popleft(), at) for _ in range(len(present) - people))
    return sorted(found + [(joined, seconds) for joined in present])


def _going_on(curve: Sequence[int | None]) -> Iterator[int]:
    """The curve without gaps, and without end."""
    people = 0
    for known in curve:
        people = people if known is None else known
        yield people
    while True:
        yield people
