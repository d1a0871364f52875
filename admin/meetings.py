"""What `meetings list`, `show`, `history` and `end` do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import typer

from admin.commands.arguments import Format
from admin.connection import this_account
from admin.output import Column, Listing, iso_time, write_record
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.past_meetings import last_meetings
from meetingpool.database.servers import all_servers
from meetingpool.domain.meetings import MeetingKey
from meetingpool.operations import end_meetings as ending
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.find_meetings import meetings_named, meetings_of
from meetingpool.operations.find_server import server_named
from meetingpool.operations.meeting_details import meeting_details
from meetingpool.operations.records import (
    MeetingRecord,
    PastMeetingRecord,
    meeting_record,
    names_of,
    past_meeting_record,
    tenant_names,
)
from meetingpool.settings import Settings

_COLUMNS = [
    Column("ID", lambda meeting: meeting["id"]),
    Column("TENANT", lambda meeting: meeting["tenant"]),
    Column("SERVER", lambda meeting: meeting["server"]),
    Column("STATE", lambda meeting: meeting["state"]),
    Column("USERS", lambda meeting: meeting["users"], is_number=True),
    Column("CREATED", lambda meeting: meeting["created_at"] and iso_time(meeting["created_at"])),
]


_PAST_COLUMNS = [
    Column("ID", lambda meeting: meeting["id"]),
    Column("TENANT", lambda meeting: meeting["tenant"]),
    Column("SERVER", lambda meeting: meeting["server"]),
    Column("BEGAN", lambda meeting: iso_time(meeting["began_at"])),
    Column("ENDED", lambda meeting: iso_time(meeting["ended_at"])),
    Column("PEAK PEOPLE", lambda meeting: meeting["peak_people"], is_number=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOptions:
    everything: bool
    tenant: str | None
    yes: bool
    dry_run: bool


async def list_meetings(database: Database, server: str | None, tenant: str | None) -> Listing:
    """Meetings, the oldest first; only those on `server`, and of `tenant`, if given."""
    async with database.transaction() as connection:
        on = (await server_named(connection, server)).id if server else None
        meetings, tenants = await meetings_of(connection, tenant), await tenant_names(connection)
    return Listing(
        names=names_of(MeetingRecord),
        records=[meeting_record(meeting, tenants) for meeting in meetings if on is None or meeting.server_id == on],
        columns=_COLUMNS,
        when_empty="No meetings run",
    )


async def list_past_meetings(database: Database, room: str | None, tenant: str | None, limit: int) -> Listing:
    """The meetings that ended last, the last one first; only with the meetingID `room`, and of `tenant`, if given."""
    async with database.transaction() as connection:
        found = await last_meetings(connection, limit, tenant=await tenant_id_of(connection, tenant), meeting_id=room)
        tenants = await tenant_names(connection)
    return Listing(
        names=names_of(PastMeetingRecord),
        records=[past_meeting_record(meeting, tenants) for meeting in found],
        columns=_PAST_COLUMNS,
        when_empty="No such meeting is over yet" if room or tenant else "No meeting is over yet",
    )


async def show_meeting(database: Database, settings: Settings, meeting_id: str, tenant: str | None, style: Format) -> None:
    """Prints the mapping and what the server says. Raises NoSuchMeeting or AmbiguousMeeting."""
    async with database.transaction() as connection:
        (meeting,) = await meetings_named(connection, [meeting_id], tenant)
        servers = {server.id: server for server in await all_servers(connection)}
        tenants = await tenant_names(connection)
    async with Client(connect_timeout=settings.connect_timeout) as client:
        details = await meeting_details(client, servers[meeting.server_id], meeting, tenants, settings.response_timeout)
    write_record(details, style)


async def end_meetings(database: Database, settings: Settings, meeting_ids: Sequence[str], options: EndOptions) -> None:
    """Raises NoSuchMeeting, AmbiguousMeeting, and Refused when a server did not end a meeting."""
    async with database.transaction() as connection:
        named = partial(meetings_named, connection, meeting_ids) if meeting_ids else partial(meetings_of, connection)
        meetings = await named(options.tenant)
    if options.everything and not (options.yes or options.dry_run) and not typer.confirm(f"End {len(meetings)} meetings?"):
        raise Refused("Nothing is changed")
    not_ended: dict[MeetingKey, str] = {}
    if not options.dry_run:
        async with Client(connect_timeout=settings.connect_timeout) as client:
            not_ended = await ending.end_meetings(database, client, SystemClock(), this_account(), meetings)
    for meeting in meetings:
        if reason := not_ended.get(meeting.key):
            typer.echo(f"Meeting {meeting.key.meeting_id} is not ended: {reason}", err=True)
            continue
        tell(f"Meeting {meeting.key.meeting_id} is ended", dry_run=options.dry_run)
    if not_ended:
        raise Refused(
            f"{len(not_ended)} of {len(meetings)} meetings are not ended: try again, or give up their server with "
            "`meetingpool servers panic`"
        )
