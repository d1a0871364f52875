"""What `meetingpool plan` shows: at a glance for people, whole for programs, the hours of the week for spreadsheets."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from admin.commands.arguments import Format
from admin.output import Column, Listing, Record, as_text, iso_time, write, write_record
from admin.refusals import Refused
from meetingpool.database.engine import Database
from meetingpool.domain.capacity_plan import PERCENTILES
from meetingpool.domain.growth import read_growth
from meetingpool.domain.usage import read_moment
from meetingpool.operations.capacity import capacity_rules
from meetingpool.operations.plan import WEEKDAYS, HourRecord, PlanQuery, PlanRecord, ScenarioRecord, plan, plan_record
from meetingpool.operations.records import names_of
from meetingpool.settings import Settings

DAYS = 14


def _enough(scenario: Record, percent: str) -> object:
    return scenario["enough"][percent]


# Of the times when the pool would have been full a table shows so many.
_SHOWN = 10

_SCENARIOS = [
    Column("GROWTH", lambda each: _growth(each)),
    Column("SERVERS", lambda each: each["peak"]["servers"] if each["peak"] else 0, is_number=True),
    *(Column(f"{percent} %", partial(_enough, percent=str(percent)), is_number=True) for percent in PERCENTILES),
    Column("FULL HOURS", lambda each: each["full_hours"], is_number=True),
    Column("PEOPLE", lambda each: each["peak"]["people"] if each["peak"] else 0, is_number=True),
    Column("MEETINGS", lambda each: each["peak"]["meetings"] if each["peak"] else 0, is_number=True),
    Column("LARGEST", lambda each: each["peak"]["largest_meeting"] if each["peak"] else 0, is_number=True, can_be_spared=True),
    Column("PEAK", lambda each: each["shown_peak"]),
]
_FULL = [
    Column("GROWTH", lambda each: _growth(each)),
    Column("FROM", lambda each: each["from"]),
    Column("TO", lambda each: each["to"]),
    Column("PEOPLE WITHOUT ROOM", lambda each: each["people"], is_number=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What the command was given."""

    begin: str | None
    end: str | None
    days: int | None
    timezone: str
    growths: Sequence[str]
    capacity: int | None
    servers: int | None
    reserve: int | None


async def show_plan(database: Database, settings: Settings, options: PlanOptions, style: Format) -> None:
    """Prints the answer. Raises InvalidGrowth, InvalidPeriod, InvalidPlan or Refused."""
    zone = _zone(options.timezone)
    query, rules = _query(options, zone), capacity_rules(settings)
    if options.reserve is not None:
        rules = replace(rules, reserve=options.reserve)
    async with database.transaction() as connection:
        record = plan_record(await plan(connection, query, rules), zone)
    match style:
        case Format.TABLE:
            _write_tables(record, zone, settings.meeting_history_days)
        case Format.CSV:
            rows = [{"growth": each["growth"], **hour} for each in record["scenarios"] for hour in each["week"]]
            sys.stdout.write(as_text(("growth", *names_of(HourRecord)), rows, style))
        case _:
            write_record(record, style)


def _query(options: PlanOptions, zone: ZoneInfo) -> PlanQuery:
    if options.begin and options.days:
        raise Refused("Give --from or --days, not both")
    now = datetime.now(UTC)
    end = min(read_moment(options.end, zone), now) if options.end else now
    return PlanQuery(
        begin=read_moment(options.begin, zone) if options.begin else end - timedelta(days=options.days or DAYS),
        end=end,
        zone=zone,
        growths=list(map(read_growth, options.growths)),
        capacity=options.capacity,
        servers=options.servers,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"No time zone is called {name}: give one like Europe/Berlin") from None


def _write_tables(record: PlanRecord, zone: ZoneInfo, kept_days: int) -> None:
    scenarios = record["scenarios"]
    if not any(scenario["peak"] for scenario in scenarios):
        typer.echo(
            f"Nothing is known of meetings from {iso_time(record['begin'])} to {iso_time(record['end'])}. The poller keeps how "
            f"meetings went once they are over, for {kept_days} days: let it run for a week, or give another --from"
        )
        return
    typer.echo(_assumptions(record, zone))
    _write_scenarios(record, zone)
    for scenario in scenarios:
        typer.echo(f"\nServers in each hour of the week, growth {_growth(scenario)}\n" + "\n".join(_week(scenario["week"])))
    if record["pool"]:
        _write_full(record, zone)


def _assumptions(record: PlanRecord, zone: ZoneInfo) -> str:
    reserve = record["reserve"]
    included = f", of which {reserve} {'is' if reserve == 1 else 'are'} in reserve" if reserve else ""
    return (
        f"{_local(record['begin'], zone)} to {_local(record['end'], zone)}, {record['timezone']}\n"
        f"A server carries {record['server_capacity']} people. SERVERS is how many were needed at the peak{included};\n"
        "50 % to 99 % is how many were enough in so many of the busy hours.\n"
    )


def _write_scenarios(record: PlanRecord, zone: ZoneInfo) -> None:
    rows = [{**each, "shown_peak": _local(each["peak"]["at"], zone) if each["peak"] else ""} for each in record["scenarios"]]
    columns = [column for column in _SCENARIOS if record["pool"] or column.heading != "FULL HOURS"]
    write(Listing(names=(), records=rows, columns=columns, when_empty=""), Format.TABLE)


def _week(hours: Sequence[HourRecord]) -> list[str]:
    """A line for each day; an hour of which nothing is known stays empty."""
    servers = {(hour["weekday"], hour["hour"]): str(hour["servers"]) for hour in hours}
    width = max(2, *map(len, servers.values())) + 1
    head = "   " + "".join(f"{hour:>{width}}" for hour in range(24))
    lines = (day + "".join(f"{servers.get((day, hour), ''):>{width}}" for hour in range(24)) for day in WEEKDAYS)
    return [head, *(line.rstrip() for line in lines)]


def _write_full(record: PlanRecord, zone: ZoneInfo) -> None:
    servers = f"{record['pool']} {'server' if record['pool'] == 1 else 'servers'} for {record['pool_capacity']} people"
    rows: list[Record] = [
        {"growth": each["growth"], "from": _local(full["begin"], zone), "to": _local(full["end"], zone), "people": full["people"]}
        for each in record["scenarios"]
        for full in each["full"]
    ]
    if not rows:
        typer.echo(f"\nThe pool ({servers}) would never have been full")
        return
    typer.echo(f"\nWhen the pool ({servers}) would have been full")
    more = f"and {len(rows) - _SHOWN} more times, all of which --format json shows" if len(rows) > _SHOWN else ""
    write(Listing(names=(), records=rows[:_SHOWN], columns=_FULL, when_empty="", summary=more), Format.TABLE)


def _growth(scenario: Record | ScenarioRecord) -> str:
    return f"{scenario['growth']:g}"


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M}"
