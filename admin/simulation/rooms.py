"""Rooms that are made up: when they meet, for how long, and how many people come."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from random import Random
from typing import ClassVar, Protocol


class Sizes(Protocol):
    """The part of a profile that says how large rooms are."""

    @property
    def users(self) -> float: ...
    @property
    def tail(self) -> float: ...
    @property
    def ad_hoc_users(self) -> float: ...
    @property
    def ad_hoc_tail(self) -> float: ...
    @property
    def largest(self) -> int: ...
    @property
    def cancelled(self) -> float: ...


def draw_size(rng: Random, median: float, tail: float, largest: int) -> float:
    return min(float(largest), max(1.0, rng.lognormvariate(log(median), tail)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRoom:
    """Meets at the same times every week. `hours`: by the day of the week, 0 being Monday, the hour of the working day.

    `lasts`: seconds. `punctual`: how many minutes after the `minute` of the hour it opens, mostly before it. `cancelled`: how
    probably one of its meetings does not take place.
    """

    size: float
    hours: dict[int, int]
    minute: int
    lasts: float
    punctual: float
    cancelled: float

    @classmethod
    def draw(cls, rng: Random, sizes: Sizes, busy: Sequence[float]) -> "ScheduledRoom":
        is_daily = rng.random() < 0.15
        days = rng.choices((1, 2, 3), (0.6, 0.3, 0.1))[0]
        weekdays = range(5) if is_daily else sorted(rng.sample(range(5), days))
        part = 0.5 if is_daily else 1.0
        hour, is_always_then = rng.choices(range(len(busy)), busy)[0], is_daily or rng.random() < 0.5
        return cls(
            size=draw_size(rng, sizes.users * part, sizes.tail * part, sizes.largest),
            hours={day: hour if is_always_then else rng.choices(range(len(busy)), busy)[0] for day in weekdays},
            minute=rng.choices((0, 15, 30, 45), (0.65, 0.2, 0.12, 0.03))[0],
            lasts=60.0 * (rng.choice((15, 30)) if is_daily else rng.choice((45, 60, 90, 90, 120))),
            punctual=rng.gauss(-4, 3),
            cancelled=min(0.9, rng.expovariate(1 / sizes.cancelled)) if sizes.cancelled else 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdHocRoom:
    """Somebody's own room, used when there is something to talk about. `size`: how many people half of its meetings have."""

    # Seconds, on average.
    LASTS: ClassVar[float] = 2500.0

    size: float
    noise: float
    largest: int

    @classmethod
    def draw(cls, rng: Random, sizes: Sizes) -> "AdHocRoom":
        """Half of what makes ad hoc meetings differ is whose room it is, half is the occasion."""
        noise = sizes.ad_hoc_tail * 0.5**0.5
        return cls(size=rng.lognormvariate(log(sizes.ad_hoc_users), noise), noise=noise, largest=sizes.largest)

    def draw_people(self, rng: Random) -> int:
        return max(1, min(self.largest, round(self.size * rng.lognormvariate(0, self.noise))))
