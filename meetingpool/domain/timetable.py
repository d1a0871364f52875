"""Which rooms usually begin in the coming minutes, with how many people, and how surely: learnt from when they began before.

A room that began at some time is expected at the same time a week later, and a day later. How much such an expectation is worth
is learnt too, from how often those of its kind came true: by whether it is the week's or the day's, and by the size of the room.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import log2
from typing import Any

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.rooms import Rooms

DAY = 86_400.0
WEEK = 7 * DAY
# Room is kept for a meeting from so many seconds before it is due, and for so long after it should have begun.
LEAD, LATE = 600.0, 900.0
# Begins of a room that lie so near to each other are expected again as one: there is no end of rooms that begin each minute.
SAME = 300.0
# What came true long ago counts less.
_FADING = 0.998
# Before anything is known, three of five come true; what is true of all of one period is worth four observations of one size.
_ASSUMED_HITS, _ASSUMED_TRIES, _PERIOD_TRIES = 3.0, 5.0, 4.0
# Smaller ones need no room to be kept; rooms of fewer people are not waited for at all, for what begins most often are those that
# nobody comes to, and they say nothing of others.
LEAST_USERS, LEAST_ROOM = 0.5, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """A meeting that may begin soon: `users` expected if it does, and the `chance` that it does.

    `holds_for` as in Expectation; `server_id`: where the room's last meeting was.
    """

    key: MeetingKey
    users: float
    chance: float
    holds_for: float = 0.0
    server_id: str = ""


@dataclass(slots=True)
class Odds:
    """How often expectations of a kind came true."""

    hits: float = 0.0
    tries: float = 0.0

    def note(self, *, came: bool) -> None:
        self.hits = self.hits * _FADING + came
        self.tries = self.tries * _FADING + 1


@dataclass(frozen=True, slots=True)
class _Due:
    at: float
    period: float
    size: int


@dataclass(slots=True)
class Timetable:
    """What is due, by time in seconds since 1970. `odds`: by the period, and by the period and the size of the room.

    `ahead`: when which room is expected, a heap.
    """

    rooms: Rooms
    odds: dict[tuple[float, int | None], Odds] = field(default_factory=dict)
    ahead: list[tuple[float, float, MeetingKey]] = field(default_factory=list)
    _due: dict[MeetingKey, _Due] = field(default_factory=dict)
    _expected_from: dict[MeetingKey, float] = field(default_factory=dict)

    def began(self, key: MeetingKey, at: float) -> None:
        """A meeting of the room began: it is due no more, and will be again after each period.

        One that began long ago, and is told of late, is not the one that is due.
        """
        due = self._due.get(key)
        if due and at >= due.at - LEAD:
            self._note(self._due.pop(key), came=True)
        self.expect_again(key, at, at)

    def expect_again(self, key: MeetingKey, began_at: float, now: float) -> None:
        """After each period, unless that is over `now`."""
        before = self._expected_from.get(key)
        if before is not None and abs(began_at - before) < SAME:
            return
        self._expected_from[key] = began_at
        for period in (WEEK, DAY):
            if began_at + period + LATE >= now:
                heappush(self.ahead, (began_at + period, period, key))

    def advance(self, now: float, running: Collection[MeetingKey]) -> None:
        """Moves on to `now`. Rooms whose meetings are `running` by the time at which they are due have come, or do not matter."""
        while self.ahead and self.ahead[0][0] - LEAD <= now:
            self._becomes_due(*heappop(self.ahead), now)
        for key in [key for key, due in self._due.items() if due.at <= now and key in running]:
            del self._due[key]
        for key in [key for key, due in self._due.items() if due.at + LATE < now]:
            self._note(self._due.pop(key), came=False)

    def forget_before(self, began_at: float) -> None:
        """Nothing is expected again of what began before."""
        for key in [key for key, at in self._expected_from.items() if at < began_at]:
            del self._expected_from[key]

    def upcoming(self, now: float, running: Collection[MeetingKey]) -> list[Upcoming]:
        """What room is kept for, the largest first."""
        found = []
        for key, due in self._due.items():
            if key in running:
                continue
            expected = self.rooms.expected(key)
            chance = self._chance(due, now)
            if expected and expected.users * chance > LEAST_USERS:
                server_id = self.rooms.known[key].server_id
                found.append(
                    Upcoming(key=key, users=expected.users, chance=chance, holds_for=expected.holds_for, server_id=server_id)
                )
        return sorted(found, key=lambda each: (-each.users, each.key))

    def state(self) -> dict[str, Any]:
        """How often expectations came true, as JSON can hold it."""
        return {"odds": [[*kind, odds.hits, odds.tries] for kind, odds in self.odds.items()]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The opposite of `state`."""
        self.odds = {(period, size): Odds(hits, tries) for period, size, hits, tries, *_ in state["odds"]}

    def _becomes_due(self, at: float, period: float, key: MeetingKey, now: float) -> None:
        known = self._due.get(key)
        if at + LATE < now or (known and known.period == WEEK and period == DAY):
            return
        expected = self.rooms.expected(key)
        has_come = expected and self.rooms.known[key].starts[-1] >= at - LEAD
        if expected and expected.users >= LEAST_ROOM and not has_come:
            self._due[key] = _Due(at, period, int(log2(expected.users)))

    def _note(self, due: _Due, *, came: bool) -> None:
        for kind in ((due.period, due.size), (due.period, None)):
            self.odds.setdefault(kind, Odds()).note(came=came)

    def _chance(self, due: _Due, now: float) -> float:
        """The chance that a meeting yet comes; one that is late comes the less the later it is."""
        of_all = self.odds.get((due.period, None), Odds())
        of_size = self.odds.get((due.period, due.size), Odds())
        usual = (of_all.hits + _ASSUMED_HITS) / (of_all.tries + _ASSUMED_TRIES)
        chance = (of_size.hits + _PERIOD_TRIES * usual) / (of_size.tries + _PERIOD_TRIES)
        passed = min(1.0, max(0.0, (now - due.at) / LATE))
        return chance * (1 - passed) / (1 - chance * passed) if passed < 1 else 0.0
