"""What the simulation asks of a policy, and what it tells it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from meetingpool.domain.meetings import MeetingKey


class Policy(Protocol):
    """Servers and meetings are numbered from 0; `now` is in seconds from the trace's beginning.

    A room that begins anew is another meeting, with another number, be its last one's end known yet or not.
    """

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:
        """The server for a meeting that begins."""
        ...

    def joined(self, now: float, meeting: int) -> None:
        """Somebody is sent to the meeting."""
        ...

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        """All servers answered: which running meetings have another number of people than before, and which are gone."""
        ...
