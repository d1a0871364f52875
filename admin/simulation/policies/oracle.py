"""Who knows how each meeting will go, and which begin in the next ten minutes: about the best that can be hoped for."""

from collections.abc import Iterator, Sequence
from random import Random

from admin.simulation.policies.heedless import Heedless
from admin.simulation.runs import Run
from meetingpool.domain.meetings import MeetingKey

AHEAD = 600.0
# Seconds over which people are averaged.
_SLOT = 300.0


class Oracle(Heedless):
    """Lays out all meetings of the coming minutes at once, the largest first.

    Each gets the server where it meets the fewest people while it lasts, weighed by its own, as adds least to the sum of squares.
    """

    def __init__(self, runs: Sequence[Run], servers: int, rng: Random) -> None:
        self._runs = runs
        self._people: list[dict[int, float]] = [{} for _ in range(servers)]
        self._order = rng.sample(range(servers), servers)
        self._server_of: dict[int, int] = {}
        self._next = 0

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:  # noqa: ARG002
        if meeting not in self._server_of:
            self._lay_out(now + AHEAD)
        return self._server_of.pop(meeting)

    def _lay_out(self, until: float) -> None:
        first = self._next
        while self._next < len(self._runs) and self._runs[self._next].start <= until:
            self._next += 1
        for meeting in sorted(range(first, self._next), key=lambda each: (-len(self._runs[each].people), each)):
            self._server_of[meeting] = self._give_server(dict(_course(self._runs[meeting])))

    def _give_server(self, course: dict[int, float]) -> int:
        best = min(self._order, key=lambda server: self._met(server, course))
        people = self._people[best]
        for slot, there in course.items():
            people[slot] = people.get(slot, 0.0) + there
        return best

    def _met(self, server: int, course: dict[int, float]) -> float:
        people = self._people[server]
        return sum(there * people.get(slot, 0.0) for slot, there in course.items())


def _course(run: Run) -> Iterator[tuple[int, float]]:
    """How many people there are on average in each slot of the run; a little even where there is nobody."""
    for slot in range(int(run.start // _SLOT), int(run.end // _SLOT) + 1):
        begin, end = slot * _SLOT, (slot + 1) * _SLOT
        seconds = sum(max(0.0, min(leave, end) - max(join, begin)) for join, leave in run.people)
        yield slot, 0.01 + seconds / _SLOT
