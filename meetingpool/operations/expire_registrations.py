"""What becomes of servers that registered themselves and do not renew that, or went. Called by the leading poller.

Most servers falling silent at once says something of the way to us, of our gateways or of a token that has become too old, and
nothing of the servers: those that answer polls then stay what they are. A token that was revoked is another matter: who did that
knows which servers go.
"""

from meetingpool.database.registrations import lock_abandoned, lock_overdue, renewals_in_time, write_registration
from meetingpool.database.servers import lock_known
from meetingpool.domain.health import half_of_the_pool_fails
from meetingpool.domain.registrations import ENDED_IS_KEPT, LAPSED_IS_KEPT, LAPSES_AFTER, lapsed
from meetingpool.domain.servers import ServerId
from meetingpool.operations.change_server_state import MeetingsRunning, remove_abandoned_server
from meetingpool.operations.changes import Change


async def most_are_silent(change: Change) -> bool:
    """Whether more than half of the servers that are to renew did not do so in time."""
    return half_of_the_pool_fails(await renewals_in_time(change.connection))


async def lapse_overdue(change: Change, lifetime: float) -> list[ServerId]:
    """Cordons the servers that fell silent. `lifetime`: for how many seconds a registration holds."""
    answering = not await most_are_silent(change)
    overdue = await lock_overdue(change.connection, since=LAPSES_AFTER * lifetime, answering=answering)
    for server in await lock_known(change.connection, overdue):
        left = lapsed(server)
        await write_registration(change.connection, left, lasts=None)
        await change.note(
            "servers.lapse", server.id, before={"admin_state": server.admin_state}, after={"admin_state": left.admin_state}
        )
    return overdue


async def remove_abandoned(change: Change, lifetime: float) -> list[ServerId]:
    """Takes servers out that left and stayed away, unless meetings run there, or an administrator decided on their state."""
    left = await lock_abandoned(change.connection, ended_for=ENDED_IS_KEPT * lifetime, lapsed_for=LAPSED_IS_KEPT * lifetime)
    removed = []
    for server in await lock_known(change.connection, left):
        try:
            await remove_abandoned_server(change, server)
            removed.append(server.id)
        except MeetingsRunning:
            continue
    return removed
