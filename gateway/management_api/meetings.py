"""/meetings: those that run now."""

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import Changing, Page
from gateway.management_api.servers import NotEnded
from meetingpool.database.engine import Connection
from meetingpool.database.servers import all_servers
from meetingpool.domain.access import Permission
from meetingpool.domain.meetings import Meeting, MeetingKey
from meetingpool.domain.refusals import Invalid
from meetingpool.operations import end_meetings as ending
from meetingpool.operations.end_meeting import EndFailed
from meetingpool.operations.find_meetings import meetings_named, meetings_of
from meetingpool.operations.find_server import server_named
from meetingpool.operations.meeting_details import MeetingDetails, meeting_details
from meetingpool.operations.placement_records import PlacementRecord, explain_placement
from meetingpool.operations.records import MeetingRecord, meeting_record, tenant_names

TenantName = Annotated[str, Meta(max_length=100, description="Id or name of a tenant")]


class MeetingsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Only those on this server, an id or a host name, and of this tenant, an id or a name."""

    server: str | None = None
    tenant: TenantName | None = None


class OneMeeting(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`tenant`: whose, where several have a meeting with this id."""

    tenant: TenantName | None = None


class OneMeetingChanging(Changing, kw_only=True):
    """`tenant`: whose, where several have a meeting with this id."""

    tenant: TenantName | None = None


class MeetingsToEnd(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The `ids` of the meetings to end, or `all` of them; of `tenant`, if given."""

    ids: list[str] = []
    all: bool = False
    tenant: TenantName | None = None


class EndedMeetings(TypedDict):
    """What became of the meetings that were to end."""

    ended: list[MeetingRecord]
    not_ended: list[NotEnded]


async def list_meetings(asked: Asked, query: MeetingsQuery) -> Page[MeetingRecord]:
    """Meetings, the oldest first."""
    async with asked.reading() as connection:
        on = await _server_asked(asked, connection, query.server)
        meetings = await meetings_of(connection, await asked.tenant_asked(connection, query.tenant))
        tenants = await tenant_names(connection)
    items = [meeting_record(meeting, tenants) for meeting in meetings if on is None or meeting.server_id == on]
    return {"items": items, "next": None}


async def show_meeting(asked: Asked, meeting: str, query: OneMeeting) -> MeetingDetails:
    """A meeting, with what its server says of it now."""
    gateway = asked.gateway
    async with asked.reading() as connection:
        tenant = await asked.tenant_asked(connection, query.tenant)
        (known,) = await meetings_named(connection, [meeting], tenant)
        servers = {server.id: server for server in await all_servers(connection)}
        tenants = await tenant_names(connection)
    deadline = gateway.settings.response_timeout
    return await meeting_details(gateway.client, servers[known.server_id], known, tenants, deadline)


async def show_placement(asked: Asked, meeting: str, query: OneMeeting) -> PlacementRecord:
    """Why a meeting got its server, also one that is over: what was expected, and the servers that were compared."""
    async with asked.reading() as connection:
        return await explain_placement(connection, meeting, await asked.tenant_asked(connection, query.tenant))


async def end_meeting(asked: Asked, meeting: str, query: OneMeetingChanging) -> MeetingRecord:
    """End a meeting on its server."""
    async with asked.reading() as connection:
        tenant = await asked.tenant_asked(connection, query.tenant)
        (known,) = await meetings_named(connection, [meeting], tenant)
        tenants = await tenant_names(connection)
    if reasons := await _end(asked, [known]):
        raise EndFailed(reasons[known.key])
    return meeting_record(known, tenants)


async def end_meetings(asked: Asked, body: MeetingsToEnd) -> EndedMeetings:
    """End several meetings on their servers, or all."""
    if bool(body.ids) is body.all:
        raise Invalid("Name the meetings to end in ids, or say that all are to end")
    async with asked.reading() as connection:
        tenant = await asked.tenant_asked(connection, body.tenant)
        meetings = await (meetings_of(connection, tenant) if body.all else meetings_named(connection, body.ids, tenant))
        tenants = await tenant_names(connection)
    reasons = await _end(asked, meetings)
    records = {meeting.key: meeting_record(meeting, tenants) for meeting in meetings}
    return {
        "ended": [record for key, record in records.items() if key not in reasons],
        "not_ended": [
            NotEnded(id=key.meeting_id, tenant=records[key]["tenant"], reason=reason) for key, reason in reasons.items()
        ],
    }


async def _server_asked(asked: Asked, connection: Connection, name: str | None) -> str | None:
    """The id of the server. Who may not see servers is not told which there are. Raises NoSuchServer."""
    if name is None or not asked.token.may(Permission.READ_POOL):
        return name
    return (await server_named(connection, name)).id


async def _end(asked: Asked, meetings: list[Meeting]) -> dict[MeetingKey, str]:
    if asked.dry_run:
        return {}
    gateway = asked.gateway
    return await ending.end_meetings(asked.database, gateway.client, gateway.clock, asked.actor, meetings)
