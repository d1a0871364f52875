"""What the recorded meetings say about how many servers are needed. Called by `meetingpool plan`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from math import ceil
from typing import TypedDict

from meetingpool.database.capacity import begin_of_history, courses, read_carriers
from meetingpool.database.engine import Connection
from meetingpool.domain.busy_hours import BusyHour, HourSweep
from meetingpool.domain.capacity import CapacityRules, Carrier
from meetingpool.domain.capacity_plan import PERCENTILES, Assumptions, HourOfWeek, Need, Scenario, scenarios
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.servers import AdminState
from meetingpool.operations.records import Moment

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A period that holds more is none that anybody means.
MOST_HOURS = 24 * 3660


class InvalidPlan(Invalid):
    """A question that has no answer."""


class PeakRecord(TypedDict):
    """The busiest minute of the hour that took most servers."""

    at: Moment
    people: int
    meetings: int
    largest_meeting: int
    servers: int


class FullRecord(TypedDict):
    """Hours on end in which the pool had no room for all: for how many people, at the most."""

    begin: Moment
    end: Moment
    people: int


class HourRecord(TypedDict):
    """The most that an hour of the week took, in so many weeks that are known."""

    weekday: str
    hour: int
    weeks: int
    people: int
    meetings: int
    servers: int


class ScenarioRecord(TypedDict):
    """With `growth` times as many meetings. `enough`: by percent, the servers that sufficed in so many of the busy hours."""

    growth: float
    peak: PeakRecord | None
    enough: dict[str, int]
    busy_hours: int
    full_hours: int
    full: list[FullRecord]
    week: list[HourRecord]


class PlanRecord(TypedDict):
    """From `begin` to `end`, of which is known what ran. `pool`: the servers that the pool has, or is taken to have."""

    begin: Moment
    end: Moment
    timezone: str
    server_capacity: int
    reserve: int
    pool: int
    pool_capacity: int
    scenarios: list[ScenarioRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanQuery:
    """`capacity`: people that every server is taken to carry; `servers`: how many the pool is taken to have. None: as it is."""

    begin: datetime
    end: datetime
    zone: tzinfo
    growths: Sequence[Fraction] = ()
    capacity: int | None = None
    servers: int | None = None

    def __post_init__(self) -> None:
        if self.begin >= self.end:
            raise InvalidPlan("The period must end after it begins: give an earlier --from or a later --to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer for the whole hours from `begin` to `end` of which something is known; without scenarios if nothing is."""

    begin: datetime
    end: datetime
    assumed: Assumptions
    scenarios: Sequence[Scenario] = ()


async def plan(connection: Connection, query: PlanQuery, rules: CapacityRules) -> Plan:
    assumed = _assumptions(await read_carriers(connection), query, rules)
    known_from = await begin_of_history(connection)
    if known_from is None or known_from >= query.end:
        return Plan(begin=query.begin, end=query.end, assumed=assumed)
    begin = _whole_hour(max(query.begin, known_from), query.zone)
    hours = await _busy_hours(connection, begin, query.end)
    end = begin + timedelta(hours=len(hours))
    return Plan(begin=begin, end=end, assumed=assumed, scenarios=scenarios(hours, query.growths, assumed))


def plan_record(plan: Plan, zone: tzinfo) -> PlanRecord:
    return PlanRecord(
        begin=plan.begin,
        end=plan.end,
        timezone=str(zone),
        server_capacity=plan.assumed.capacity,
        reserve=plan.assumed.reserve,
        pool=len(plan.assumed.pool),
        pool_capacity=sum(plan.assumed.pool),
        scenarios=[_scenario_record(scenario, zone) for scenario in plan.scenarios],
    )


def _assumptions(carriers: Sequence[Carrier], query: PlanQuery, rules: CapacityRules) -> Assumptions:
    enabled = [carrier for carrier in carriers if carrier.admin_state is AdminState.ENABLED]
    usual = query.capacity or rules.usual_capacity(enabled)
    if query.servers is not None:
        pool = (usual,) * query.servers
    else:
        pool = tuple(query.capacity or rules.capacity_of(carrier) for carrier in enabled)
    return Assumptions(capacity=usual, reserve=rules.reserve, pool=pool)


async def _busy_hours(connection: Connection, begin: datetime, end: datetime) -> list[BusyHour]:
    sweep = HourSweep(begin, min(ceil((end - begin) / timedelta(hours=1)), MOST_HOURS))
    async for course in courses(connection, begin, end):
        sweep.add(course)
    return sweep.busy_hours()


def _whole_hour(moment: datetime, zone: tzinfo) -> datetime:
    """When the hour of the clocks in `zone` began."""
    local = moment.astimezone(zone)
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _scenario_record(scenario: Scenario, zone: tzinfo) -> ScenarioRecord:
    full = scenario.full_periods()
    return ScenarioRecord(
        growth=float(scenario.growth),
        peak=_peak_record(scenario.peak) if scenario.peak else None,
        enough={str(percent): scenario.percentile(percent) for percent in PERCENTILES},
        busy_hours=len(scenario.busy),
        full_hours=sum(need.without_room > 0 for need in scenario.needs),
        full=[FullRecord(begin=begin, end=end, people=people) for begin, end, people in full],
        week=[_hour_record(hour) for hour in scenario.week(zone)],
    )


def _peak_record(peak: Need) -> PeakRecord:
    return PeakRecord(
        at=peak.at,
        people=peak.people,
        meetings=peak.meetings,
        largest_meeting=peak.largest_meeting,
        servers=peak.servers,
    )


def _hour_record(hour: HourOfWeek) -> HourRecord:
    return HourRecord(
        weekday=WEEKDAYS[hour.weekday],
        hour=hour.hour,
        weeks=hour.weeks,
        people=hour.people,
        meetings=hour.meetings,
        servers=hour.servers,
    )
