"""What ran in each hour, at its busiest minute: all that planning looks at, made of the curves of meetings in one pass of each.

Whole months are many minutes, and packing meetings onto servers takes its time: so of each hour one minute stands for it, the one
with the most people.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple

_MINUTES = 60


class Course(NamedTuple):
    """How a meeting went. Times in seconds since 1970; `people` at the end of each of its minutes, None for as many as before."""

    began: float
    ended: float
    people: Sequence[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyHour:
    """The hour from `begin` on, by its busiest minute `at`: the people in each of the meetings that ran then."""

    begin: datetime
    at: datetime
    sizes: tuple[int, ...] = ()


class _Stretch(NamedTuple):
    """The part of a meeting that lies in the period: its first minute there, and its people minute by minute."""

    first: int
    people: "array[int]"


class HourSweep:
    """Takes meetings one by one and says what each of the `hours` from `begin` on was like."""

    def __init__(self, begin: datetime, hours: int) -> None:
        # In UTC every hour has sixty minutes.
        self._begin = begin.astimezone(UTC)
        self._hours = hours
        self._stretches: list[_Stretch] = []
        # By how many people there are more than a minute before.
        self._changes = [0] * (hours * _MINUTES + 1)

    def add(self, course: Course) -> None:
        began = course.began - self._begin.timestamp()
        first, minutes = int(began // 60), max(1, ceil((course.ended - course.began) / 60))
        after = min(first + minutes, self._hours * _MINUTES)
        if after > max(0, first):
            people = list(_minute_by_minute(course.people, after - first))[max(0, -first) :]
            stretch = _Stretch(max(0, first), array("i", people))
            self._stretches.append(stretch)
            self._count(stretch)

    def busy_hours(self) -> list[BusyHour]:
        """All hours, also those in which nothing ran, the first one first."""
        busiest = self._busiest_minutes()
        sizes: list[list[int]] = [[] for _ in busiest]
        for first, people in self._stretches:
            last = first + len(people) - 1
            for hour in range(first // _MINUTES, last // _MINUTES + 1):
                if first <= busiest[hour] <= last:
                    sizes[hour].append(people[busiest[hour] - first])
        return [
            BusyHour(begin=self._moment(hour * _MINUTES), at=self._moment(minute), sizes=tuple(found))
            for hour, (minute, found) in enumerate(zip(busiest, sizes, strict=True))
        ]

    def _count(self, stretch: _Stretch) -> None:
        before = 0
        for minute, people in enumerate(stretch.people, stretch.first):
            if people != before:
                self._changes[minute] += people - before
                before = people
        self._changes[stretch.first + len(stretch.people)] -= before

    def _busiest_minutes(self) -> list[int]:
        total, people = 0, []
        for change in self._changes:
            total += change
            people.append(total)
        starts = range(0, self._hours * _MINUTES, _MINUTES)
        return [max(range(start, start + _MINUTES), key=people.__getitem__) for start in starts]

    def _moment(self, minute: int) -> datetime:
        return self._begin + timedelta(minutes=minute)


def busy_hours(courses: Iterable[Course], begin: datetime, hours: int) -> list[BusyHour]:
    sweep = HourSweep(begin, hours)
    for course in courses:
        sweep.add(course)
    return sweep.busy_hours()


def _minute_by_minute(people: Sequence[int | None], minutes: int) -> Iterator[int]:
    now = 0
    for value in people[:minutes]:
        now = now if value is None else value
        yield now
    for _ in range(minutes - len(people)):
        yield now
