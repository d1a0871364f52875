"""How many servers were needed in each hour, how many would be with growth, and when the pool would have been full."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from meetingpool.domain.busy_hours import BusyHour
from meetingpool.domain.growth import NO_GROWTH, grown
from meetingpool.domain.packing import servers_needed, without_room

PERCENTILES = (50, 90, 95, 99)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """A new server carries `capacity` people, `reserve` servers may fail, and those of the `pool` carry so many people each."""

    capacity: int
    reserve: int = 0
    pool: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the hour from `begin` on took at its busiest minute `at`. `servers` with the reserve; `without_room`: people."""

    begin: datetime
    at: datetime
    people: int
    meetings: int
    largest_meeting: int
    servers: int
    without_room: int


class FullPeriod(NamedTuple):
    """Hours on end in which meetings had no room in the pool, and how many people were in them at the most."""

    begin: datetime
    end: datetime
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfWeek:
    """The most that an hour of the week took, 0 being Monday, in `weeks` of them that are known."""

    weekday: int
    hour: int
    weeks: int
    people: int
    meetings: int
    servers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What each hour would take with `growth` times as many meetings."""

    growth: Fraction
    needs: tuple[Need, ...]

    @property
    def busy(self) -> list[Need]:
        """The hours in which somebody was in a meeting."""
        return [need for need in self.needs if need.people]

    @property
    def peak(self) -> Need | None:
        """The first hour of those that took most servers, and of these most people; None when nobody was in any meeting."""
        return max(self.busy, key=lambda need: (need.servers, need.people), default=None)

    def percentile(self, percent: int) -> int:
        """Servers that were enough in so many percent of the busy hours."""
        servers = sorted(need.servers for need in self.busy)
        return servers[ceil(len(servers) * percent / 100) - 1] if servers else 0

    def full_periods(self) -> list[FullPeriod]:
        periods: list[FullPeriod] = []
        for need in self.needs:
            if need.without_room:
                known = periods.pop() if periods and periods[-1].end == need.begin else FullPeriod(need.begin, need.begin, 0)
                periods.append(FullPeriod(known.begin, need.begin + _HOUR, max(known.people, need.without_room)))
        return periods

    def week(self, zone: tzinfo) -> list[HourOfWeek]:
        """The hours of the week that are known, in their order; an hour is that of the clocks in `zone` when it begins."""
        hours: dict[tuple[int, int], HourOfWeek] = {}
        for need in self.needs:
            local = need.begin.astimezone(zone)
            place = local.weekday(), local.hour
            hours[place] = _most(hours.get(place), need, place)
        return [hours[place] for place in sorted(hours)]


def scenarios(hours: Sequence[BusyHour], growths: Iterable[Fraction], assumed: Assumptions) -> list[Scenario]:
    """One without growth, and one for each of `growths`, the least first.

    With more growth no hour takes fewer servers, although packing more meetings can by chance come out better.
    """
    found: list[Scenario] = []
    for growth in sorted({NO_GROWTH, *growths}):
        needs = [need_of(hour, growth, assumed) for hour in hours]
        if found:
            needs = list(map(_at_least, needs, found[-1].needs))
        found.append(Scenario(growth=growth, needs=tuple(needs)))
    return found


def need_of(hour: BusyHour, growth: Fraction, assumed: Assumptions) -> Need:
    sizes = grown(hour.sizes, growth)
    return Need(
        begin=hour.begin,
        at=hour.at,
        people=sum(sizes),
        meetings=len(sizes),
        largest_meeting=sizes[0] if sizes else 0,
        servers=max(1, servers_needed(sizes, assumed.capacity) + assumed.reserve),
        without_room=without_room(sizes, assumed.pool) if assumed.pool else 0,
    )


def _at_least(need: Need, with_less: Need) -> Need:
    servers, people = max(need.servers, with_less.servers), max(need.without_room, with_less.without_room)
    return replace(need, servers=servers, without_room=people)


def _most(known: HourOfWeek | None, need: Need, place: tuple[int, int]) -> HourOfWeek:
    weekday, hour = place
    return HourOfWeek(
        weekday=weekday,
        hour=hour,
        weeks=known.weeks + 1 if known else 1,
        people=max(need.people, known.people if known else 0),
        meetings=max(need.meetings, known.meetings if known else 0),
        servers=max(need.servers, known.servers if known else 0),
    )
