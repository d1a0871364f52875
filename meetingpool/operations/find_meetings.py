"""Finds meetings by what an administrator calls them. Called by the command line, the management API and the dashboard."""

from collections.abc import Iterable, Sequence

from meetingpool.database.engine import Connection
from meetingpool.database.meetings import all_meetings
from meetingpool.database.placements import last_placed
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting
from meetingpool.domain.reasons import Placed
from meetingpool.domain.refusals import Conflict, NotFound
from meetingpool.operations.change_tenant import tenant_id_of


class NoSuchMeeting(NotFound):
    """No meeting has this id."""


class AmbiguousMeeting(Conflict):
    """Several tenants have a meeting with this id."""


async def meetings_of(connection: Connection, tenant: str | None) -> list[Meeting]:
    """All meetings, or those of the tenant with the id or the name `tenant`. A tenant that was removed has its id only."""
    meetings = await all_meetings(connection)
    if tenant is None:
        return meetings
    tenant_id = await tenant_id_of(connection, tenant)
    return [meeting for meeting in meetings if meeting.key.tenant == tenant_id]


async def meetings_named(connection: Connection, meeting_ids: Sequence[str], tenant: str | None) -> list[Meeting]:
    """The meetings with these ids, each once. Raises NoSuchMeeting, or AmbiguousMeeting when no `tenant` tells which is meant."""
    known = await meetings_of(connection, tenant)
    return [await _only(connection, known, meeting_id) for meeting_id in dict.fromkeys(meeting_ids)]


async def _only(connection: Connection, meetings: Sequence[Meeting], meeting_id: str) -> Meeting:
    found = [meeting for meeting in meetings if meeting.key.meeting_id == meeting_id]
    if not found:
        raise NoSuchMeeting(f"No meeting found with id: {meeting_id}; `meetingpool meetings list` shows them all")
    if len(found) > 1:
        raise await _ambiguous(connection, meeting_id, "have", [meeting.key.tenant for meeting in found])
    return found[0]


async def last_placed_as(connection: Connection, meeting_id: str, tenant: str | None) -> tuple[Placed, bool]:
    """How the meeting with this id was placed last, and whether it is over; one that is over only where none runs.

    Raises NoSuchMeeting, or AmbiguousMeeting as `meetings_named`.
    """
    known = [meeting.key.tenant for meeting in await meetings_of(connection, tenant) if meeting.key.meeting_id == meeting_id]
    found = await last_placed(connection, known or await _tenant_ids(connection, tenant), meeting_id)
    if not found:
        raise NoSuchMeeting(
            f"No meeting found with id: {meeting_id}, nor one that is over; `meetingpool meetings list` and `history` show them"
        )
    if len(found) > 1:
        raise await _ambiguous(connection, meeting_id, "have" if known else "had", [placed.key.tenant for placed in found])
    return found[0], not known


async def _tenant_ids(connection: Connection, tenant: str | None) -> list[str]:
    """Of the one that is asked for, or all."""
    tenant_id = await tenant_id_of(connection, tenant)
    return [tenant_id] if tenant_id else [DEFAULT_TENANT, *(each.id for each in await all_tenants(connection))]


async def _ambiguous(connection: Connection, meeting_id: str, have: str, tenants: Iterable[str]) -> AmbiguousMeeting:
    names = {tenant.id: tenant.name for tenant in await all_tenants(connection)} | {DEFAULT_TENANT: DEFAULT_TENANT}
    listed = ", ".join(names.get(tenant, tenant) for tenant in tenants)
    return AmbiguousMeeting(f"Several tenants {have} a meeting {meeting_id}, name one by --tenant: {listed}")
