"""What `meetingpool usage` shows."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from admin.output import Column, Listing, iso_time
from admin.refusals import Refused
from meetingpool.database.engine import Connection, Database
from meetingpool.domain.refusals import NotFound
from meetingpool.domain.usage import UsageBy, UsageQuery, read_moment, this_month
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.find_server import server_named
from meetingpool.operations.records import names_of, tenant_names
from meetingpool.operations.usage import SUBJECTS, UsageRecord, usage, usage_record

_FIGURES = [
    Column("PERSON MINUTES", lambda used: f"{used['person_minutes']:.0f}", is_number=True),
    Column("MEETING MINUTES", lambda used: f"{used['meeting_minutes']:.0f}", is_number=True),
    Column("PEAK PEOPLE", lambda used: used["peak_people"], is_number=True),
    Column("PEAK MEETINGS", lambda used: used["peak_meetings"], is_number=True),
]
_SUBJECT_COLUMNS = {
    "tenant": Column("TENANT", lambda used: used["tenant"]),
    "server": Column("SERVER", lambda used: used["server"]),
    "day": Column("DAY", lambda used: used["day"]),
    "hour": Column("HOUR", lambda used: iso_time(used["hour"])),
}


async def list_usage(
    database: Database, by: UsageBy, period: tuple[str | None, str | None, str], tenant: str | None, server: str | None
) -> Listing:
    """What was used in `period`: begin and end as they were written, and the name of a time zone; without, this month until now.

    Of one tenant or server only, by id or name, if given. Raises InvalidPeriod or Refused.
    """
    async with database.transaction() as connection:
        query = _query(by, period, await tenant_id_of(connection, tenant), await _server_id(connection, server))
        used, tenants = await usage(connection, query), await tenant_names(connection)
    subjects = SUBJECTS[by]
    return Listing(
        names=(*subjects, *names_of(UsageRecord)),
        records=[usage_record(each, query, tenants) for each in used],
        columns=[_SUBJECT_COLUMNS[subject] for subject in subjects] + _FIGURES,
        when_empty=f"Nothing is known of the time from {iso_time(query.whole_hours.begin)} to {iso_time(query.end)}",
        summary=f"From {iso_time(query.whole_hours.begin)} to {iso_time(query.end)}",
    )


def _query(by: UsageBy, period: tuple[str | None, str | None, str], tenant: str | None, server: str | None) -> UsageQuery:
    begin, end, zone_name = period
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"No time zone is called {zone_name}: give one like Europe/Berlin") from None
    now = datetime.now(UTC)
    return UsageQuery(
        begin=read_moment(begin, zone) if begin else this_month(now, zone),
        end=read_moment(end, zone) if end else now,
        by=by,
        zone=zone,
        tenant=tenant,
        server=server,
    )


async def _server_id(connection: Connection, name: str | None) -> str | None:
    """One that was removed is known by its id only."""
    try:
        return (await server_named(connection, name)).id if name else None
    except NotFound:
        return name
