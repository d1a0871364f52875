"""How much of the pool was used: what is asked, and how hours become days and samples become curves."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from meetingpool.domain.refusals import Invalid
from meetingpool.domain.servers import Health

# Stands for all tenants, all servers, or the pool.
ALL = ""
HOUR = timedelta(hours=1)
# From the best to the worst.
_HEALTHS = tuple(Health)


class InvalidPeriod(Invalid):
    """A period that cannot be used."""


class UsageBy(StrEnum):
    """What there is one row for."""

    TENANT = "tenant"
    SERVER = "server"
    TENANT_AND_SERVER = "tenant,server"
    DAY = "day"
    HOUR = "hour"


class Span(StrEnum):
    """What a curve shows: the time until now."""

    DAY = "24h"
    WEEK = "7d"

    @property
    def length(self) -> timedelta:
        return timedelta(days=1) if self is Span.DAY else timedelta(days=7)

    @property
    def step(self) -> timedelta:
        """Between two points."""
        return timedelta(minutes=5) if self is Span.DAY else timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Hours that begin from `begin` on and before `end`; only of one tenant or server, by their ids, if given.

    An hour belongs to the day in which it begins in `zone`.
    """

    begin: datetime
    end: datetime
    by: UsageBy = UsageBy.TENANT
    zone: tzinfo = UTC
    tenant: str | None = None
    server: str | None = None

    def __post_init__(self) -> None:
        if self.begin >= self.end:
            raise InvalidPeriod("The period must end after it begins: give an earlier --from or a later --to")

    @property
    def whole_hours(self) -> "UsageQuery":
        """The same from the begin of its first hour."""
        return replace(self, begin=self.begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """How much was used. What it is about has a value: `begin` of the hour or the day, the ids of tenant and server."""

    begin: datetime | None = None
    tenant: str | None = None
    server: str | None = None
    meeting_seconds: float
    person_seconds: float
    peak_meetings: int
    peak_people: int

    def __add__(self, other: "Used") -> "Used":
        return replace(
            self,
            meeting_seconds=self.meeting_seconds + other.meeting_seconds,
            person_seconds=self.person_seconds + other.person_seconds,
            peak_meetings=max(self.peak_meetings, other.peak_meetings),
            peak_people=max(self.peak_people, other.peak_people),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How a server, or the pool, was at one moment."""

    at: datetime
    health: Health
    load: float
    meetings: int
    users: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Samples at even distances, the worst of each step; None where nothing was seen. `at` in seconds since 1970."""

    step: float
    at: list[int]
    health: list[Health | None] = field(default_factory=list)
    load: list[float | None] = field(default_factory=list)
    meetings: list[int | None] = field(default_factory=list)
    users: list[int | None] = field(default_factory=list)


def by_day(hours: Iterable[Used], zone: tzinfo) -> list[Used]:
    """Hours of one thing, put together to days of `zone`, the first day first."""
    days: dict[datetime, Used] = {}
    for used in hours:
        if used.begin is None:
            raise ValueError("hours have a begin")
        day = midnight(used.begin.astimezone(zone).date(), zone)
        days[day] = days[day] + used if day in days else replace(used, begin=day)
    return [days[day] for day in sorted(days)]


def read_moment(text: str, zone: tzinfo) -> datetime:
    """A date, which is its midnight, or a time in ISO 8601; in `zone` where it says no other. Raises InvalidPeriod."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidPeriod(f"{text!r} is neither a date like 2026-07-01 nor a time like 2026-07-01T08:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def this_month(now: datetime, zone: tzinfo) -> datetime:
    """When the month began, in `zone`."""
    return midnight(now.astimezone(zone).date().replace(day=1), zone)


def midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)


def curve_of(samples: Sequence[Sample], end: datetime, span: Span) -> Curve:
    """What the last of `span` until `end` looked like."""
    step = span.step.total_seconds()
    last = int(end.timestamp() // step * step)
    at = [int(last - number * step) for number in reversed(range(int(span.length / span.step)))]
    curve = Curve(step, at)
    for worst in _worst_of_each(samples, at, step):
        curve.health.append(worst.health if worst else None)
        curve.load.append(worst.load if worst else None)
        curve.meetings.append(worst.meetings if worst else None)
        curve.users.append(worst.users if worst else None)
    return curve


def _worst_of_each(samples: Sequence[Sample], at: Sequence[int], step: float) -> list[Sample | None]:
    worst: list[Sample | None] = [None] * len(at)
    for sample in samples:
        moment = sample.at.timestamp()
        place = bisect_right(at, moment) - 1
        if place >= 0 and moment < at[place] + step:
            worst[place] = _worse(worst[place], sample)
    return worst


def _worse(one: Sample | None, other: Sample) -> Sample:
    if one is None:
        return other
    return Sample(
        at=one.at,
        health=max(one.health, other.health, key=_HEALTHS.index),
        load=max(one.load, other.load),
        meetings=max(one.meetings, other.meetings),
        users=max(one.users, other.users),
    )
