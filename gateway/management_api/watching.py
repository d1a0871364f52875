"""/status, /audit and /usage: how the pool is, what was changed, and how much was used."""

from datetime import UTC, datetime
from typing import Annotated, TypedDict
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import MAX_ID, Page
from gateway.management_api.meetings import TenantName
from gateway.management_api.recordings import Limit
from meetingpool.database.audit import find_audit
from meetingpool.database.engine import Connection
from meetingpool.database.overviews import what_waits
from meetingpool.database.servers import all_servers
from meetingpool.domain.access import Permission
from meetingpool.domain.servers import AdminState, Health
from meetingpool.domain.usage import InvalidPeriod, UsageBy, UsageQuery, read_moment, this_month
from meetingpool.operations import usage
from meetingpool.operations.find_server import NoSuchServer, server_named
from meetingpool.operations.records import AuditRecord, audit_record, tenant_names
from meetingpool.operations.usage import UsageRecord, usage_record

_WITH_SERVERS = (UsageBy.SERVER, UsageBy.TENANT_AND_SERVER)


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`action` may be a noun alone, as `servers`; `since`: a date or a time; `cursor`: the `next` of an earlier page."""

    tenant: TenantName | None = None
    subject: str | None = None
    action: str | None = None
    since: str | None = None
    cursor: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None
    limit: Limit = 100


class UsageAsked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """`from` and `to`: dates, or times in ISO 8601, of whole hours; without, this month until now. Days are of `timezone`."""

    begin: str | None = None
    end: str | None = None
    by: UsageBy = UsageBy.TENANT
    tenant: TenantName | None = None
    server: str | None = None
    timezone: str = "UTC"


class PoolStatus(TypedDict):
    """The pool in figures. `open_servers` take new meetings; of callbacks, `failing` wait to be tried again."""

    servers: int
    open_servers: int
    by_admin_state: dict[AdminState, int]
    by_health: dict[Health, int]
    meetings: int
    users: int
    videos: int
    load: float
    importing: int
    quarantined: int
    callbacks_failing: int
    callbacks_given_up: int


class Usage(TypedDict):
    """How much was used from `begin` to `end`."""

    begin: datetime
    end: datetime
    items: list[UsageRecord]


async def show_status(asked: Asked) -> PoolStatus:
    """The pool in figures."""
    async with asked.reading() as connection:
        servers, waiting = await all_servers(connection), await what_waits(connection)
    return {
        "servers": len(servers),
        "open_servers": sum(server.takes_new_meetings for server in servers),
        "by_admin_state": {state: sum(server.admin_state is state for server in servers) for state in AdminState},
        "by_health": {health: sum(server.health is health for server in servers) for health in Health},
        "meetings": sum(server.meetings for server in servers),
        "users": sum(server.users for server in servers),
        "videos": sum(server.videos for server in servers),
        "load": sum(server.load for server in servers),
        "importing": waiting.importing,
        "quarantined": waiting.quarantined,
        "callbacks_failing": waiting.failing,
        "callbacks_given_up": waiting.given_up,
    }


async def list_audit(asked: Asked, query: AuditQuery) -> Page[AuditRecord]:
    """Changes, the newest first."""
    async with asked.reading() as connection:
        found = await find_audit(
            connection,
            tenant=await asked.tenant_asked(connection, query.tenant),
            subject=query.subject,
            action=query.action,
            since=None if query.since is None else read_moment(query.since, UTC),
            before_id=query.cursor,
            limit=query.limit + 1,
        )
        tenants = await tenant_names(connection)
    items = [audit_record(entry, tenants) for entry in found[: query.limit]]
    return {"items": items, "next": str(items[-1]["id"]) if len(found) > query.limit else None}


async def show_usage(asked: Asked, query: UsageAsked) -> Usage:
    """How much was used: minutes of meetings and of people, and the most at once."""
    if query.by in _WITH_SERVERS or query.server is not None:
        # Which servers there are is not for a tenant's administrator.
        asked.require(Permission.READ_POOL)
    async with asked.reading() as connection:
        wanted = _usage_query(
            query,
            datetime.fromtimestamp(asked.gateway.clock.epoch(), UTC),
            tenant=await asked.tenant_asked(connection, query.tenant),
            server=await _server_id(connection, query.server),
        )
        used, tenants = await usage.usage(connection, wanted), await tenant_names(connection)
    items = [usage_record(each, wanted, tenants) for each in used]
    return {"begin": wanted.whole_hours.begin, "end": wanted.end, "items": items}


def _usage_query(query: UsageAsked, now: datetime, *, tenant: str | None, server: str | None) -> UsageQuery:
    try:
        zone = ZoneInfo(query.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidPeriod("No time zone is called so: give one like Europe/Berlin") from None
    return UsageQuery(
        begin=read_moment(query.begin, zone) if query.begin else this_month(now, zone),
        end=read_moment(query.end, zone) if query.end else now,
        by=query.by,
        zone=zone,
        tenant=tenant,
        server=server,
    )


async def _server_id(connection: Connection, name: str | None) -> str | None:
    """One that was removed is known by its id only."""
    try:
        return (await server_named(connection, name)).id if name is not None else None
    except NoSuchServer:
        return name
