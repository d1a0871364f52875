"""Policies that take the server with the least weight, each weighing meetings by a published formula."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from meetingpool.domain.meetings import MeetingKey


@dataclass(slots=True)
class Placed:
    """A meeting that is not known to be over. `people` as the last poll saw them."""

    server: int
    since: float
    people: int = 0


class Weighing:
    """Among servers of the same weight one is drawn.

    A create adds `for_create` to its server at once and a join `for_join`; a poll replaces that by what the meetings weigh.
    """

    for_create: ClassVar[float]
    for_join: ClassVar[float]

    def __init__(self, servers: int, rng: Random) -> None:
        self._rng = rng
        self.weights = [0.0] * servers
        self.meetings: dict[int, Placed] = {}

    def weight_of(self, people: int, age: float) -> float:
        """What a meeting weighs in a poll, `age` seconds after its create."""
        raise NotImplementedError

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:  # noqa: ARG002
        server = self._choose()
        self.meetings[meeting] = Placed(server, now)
        self.weights[server] += self.for_create
        return server

    def joined(self, now: float, meeting: int) -> None:  # noqa: ARG002
        self.weights[self.meetings[meeting].server] += self.for_join

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        for meeting in ended:
            del self.meetings[meeting]
        for meeting, people in changed.items():
            self.meetings[meeting].people = people
        self.weights = [0.0] * len(self.weights)
        for placed in self.meetings.values():
            self.weights[placed.server] += self.weight_of(placed.people, now - placed.since)

    def _choose(self) -> int:
        least = min(self.weights)
        return self._rng.choice([server for server, weight in enumerate(self.weights) if weight == least])


class Scalelite(Weighing):
    """Scalelite 1.8: in polls a meeting of up to 15 minutes counts for 15 people at least; 1 for each create and join between.

    Moderators, whom Scalelite counts twice, are not told from others: a trace does not say who is one.
    """

    for_create = 1.0
    for_join = 1.0

    def weight_of(self, people: int, age: float) -> float:
        return max(people, 15) if age < 900 else people


class Bbblb(Weighing):
    """bbblb: 5 for each meeting and 1 for each person, and 20 for a new meeting that fade within 30 minutes."""

    for_create = 25.0
    for_join = 1.0

    def weight_of(self, people: int, age: float) -> float:
        return 5 + people + 20 * max(0.0, 1 - age / 1800)


class LeastMeetings(Weighing):
    """The server with the fewest meetings, whatever is in them."""

    for_create = 1.0
    for_join = 0.0

    def weight_of(self, people: int, age: float) -> float:  # noqa: ARG002
        return 1.0


class TwoChoices(Weighing):
    """Of two servers that are drawn, the one with fewer people, as polled and joined since."""

    for_create = 0.0
    for_join = 1.0

    def weight_of(self, people: int, age: float) -> float:  # noqa: ARG002
        return people

    def _choose(self) -> int:
        drawn = self._rng.sample(range(len(self.weights)), min(2, len(self.weights)))
        return min(drawn, key=self.weights.__getitem__)
