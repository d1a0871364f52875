"""Meetings that run: found, and ended."""

from collections import defaultdict
from collections.abc import Mapping

from gateway.dashboard.answers import Done, View
from gateway.dashboard.paging import page_of
from gateway.dashboard.pool import names_of
from gateway.dashboard.visits import Visit, filters_of
from meetingpool.database.meetings import all_meetings
from meetingpool.database.servers import all_servers
from meetingpool.domain.meetings import Meeting, MeetingKey
from meetingpool.domain.refusals import Invalid
from meetingpool.operations import end_meetings as ending
from meetingpool.operations.find_meetings import NoSuchMeeting
from meetingpool.operations.records import meeting_record, tenant_names

# Between a tenant and a meetingID: no tenant's id holds it.
_BETWEEN = "/"


async def show_meetings(visit: Visit) -> View:
    asked = filters_of(visit, "q", "server", "tenant", "state")
    async with visit.database.transaction() as connection:
        meetings, tenants = await all_meetings(connection), await tenant_names(connection)
        servers = await all_servers(connection)
    own = [each for each in meetings if visit.token.tenant in (None, each.key.tenant)]
    found = [each for each in own if _is_wanted(each, asked, tenants)]
    found.sort(key=lambda each: -each.users)
    listed = page_of(
        [(_value(each), each.internal_id, meeting_record(each, tenants)) for each in found], visit.asked("page"), asked
    )
    counts: defaultdict[str, int] = defaultdict(int)
    for each in own:
        counts[each.state] += 1
    values = {
        "listed": listed,
        "people": sum(each.users for each in found),
        "counts": counts,
        "hosts": names_of(servers),
        "tenants": sorted({tenants.get(each.key.tenant, each.key.tenant) for each in own}),
        "asked": asked,
    }
    return View(template="meetings.html", title="Meetings", values=values)


async def end_meetings(visit: Visit) -> Done:
    """Raises NoSuchMeeting."""
    keys = [_key(value) for value in visit.chosen()]
    async with visit.database.transaction() as connection:
        known = {each.key: each for each in await all_meetings(connection)}
    for key in keys:
        if key not in known or visit.token.tenant not in (None, key.tenant):
            raise NoSuchMeeting(f"Meeting {key.meeting_id} is not there any more")
    gateway = visit.gateway
    wanted = [known[key] for key in keys]
    not_ended = await ending.end_meetings(visit.database, gateway.client, gateway.clock, visit.actor, wanted)
    if not_ended:
        first = next(iter(not_ended.values()))
        return Done(message=f"{len(not_ended)} of {len(keys)} meetings are not ended: {first}", is_refused=True)
    return Done(message=f"Meeting {keys[0].meeting_id} is ended" if len(keys) == 1 else f"{len(keys)} meetings are ended")


def _is_wanted(meeting: Meeting, asked: Mapping[str, str], tenants: Mapping[str, str]) -> bool:
    tenant = tenants.get(meeting.key.tenant, meeting.key.tenant)
    text = asked["q"].lower()
    return (
        (not text or text in meeting.key.meeting_id.lower() or text in (meeting.internal_id or "").lower())
        and asked["server"] in ("", meeting.server_id)
        and asked["tenant"] in ("", tenant, meeting.key.tenant)
        and asked["state"] in ("", meeting.state)
    )


def _value(meeting: Meeting) -> str:
    return f"{meeting.key.tenant}{_BETWEEN}{meeting.key.meeting_id}"


def _key(value: str) -> MeetingKey:
    tenant, between, meeting_id = value.partition(_BETWEEN)
    if not between:
        raise Invalid("That names no meeting")
    return MeetingKey(tenant, meeting_id)
