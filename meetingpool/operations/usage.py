"""How much of the pool was used, and how it and its servers were.

Called by `meetingpool usage`, the management API and the dashboard.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NotRequired, TypedDict, cast

from meetingpool.database.engine import Connection
from meetingpool.database.usage import read_samples, read_usage
from meetingpool.domain.usage import ALL, Curve, Span, UsageBy, UsageQuery, Used, by_day, curve_of

# What a record is about, by what was asked.
SUBJECTS: dict[UsageBy, tuple[str, ...]] = {
    UsageBy.TENANT: ("tenant",),
    UsageBy.SERVER: ("server",),
    UsageBy.TENANT_AND_SERVER: ("tenant", "server"),
    UsageBy.DAY: ("day",),
    UsageBy.HOUR: ("hour",),
}


class UsageRecord(TypedDict):
    """How much was used by what it is about: a tenant, a server, both, a day as `2026-07-01`, or the hour from a time on."""

    tenant: NotRequired[str]
    server: NotRequired[str]
    day: NotRequired[str]
    hour: NotRequired[datetime]
    meeting_minutes: float
    person_minutes: float
    peak_meetings: int
    peak_people: int


async def usage(connection: Connection, query: UsageQuery) -> list[Used]:
    """What was used: days and hours in their order, tenants and servers by how much they used, the most first."""
    query = query.whole_hours
    used = await read_usage(connection, query)
    if query.by is UsageBy.DAY:
        return by_day(used, query.zone)
    return used if query.by is UsageBy.HOUR else sorted(used, key=lambda each: -each.person_seconds)


def usage_record(used: Used, query: UsageQuery, tenants: Mapping[str, str]) -> UsageRecord:
    """`tenants`: names by ids. A tenant that was removed has its id only."""
    figures = UsageRecord(
        meeting_minutes=round(used.meeting_seconds / 60, 2),
        person_minutes=round(used.person_seconds / 60, 2),
        peak_meetings=used.peak_meetings,
        peak_people=used.peak_people,
    )
    return cast(UsageRecord, {**_subject(used, query, tenants), **figures})


def _subject(used: Used, query: UsageQuery, tenants: Mapping[str, str]) -> dict[str, str | datetime]:
    subject: dict[str, str | datetime] = {}
    if used.tenant is not None:
        subject["tenant"] = tenants.get(used.tenant, used.tenant)
    if used.server is not None:
        subject["server"] = used.server
    if used.begin is not None and query.by is UsageBy.DAY:
        subject["day"] = used.begin.date().isoformat()
    elif used.begin is not None:
        subject["hour"] = used.begin
    return subject


async def curve(connection: Connection, span: Span, now: datetime, server_id: str = ALL) -> Curve:
    """How the server was until `now`, or the whole pool without one."""
    begin = now.astimezone(UTC) - span.length - timedelta(hours=1)
    return curve_of(await read_samples(connection, server_id, begin), now, span)
