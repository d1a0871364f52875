"""Tries callbacks again, now and for another day. Called by `callbacks retry`, the management API and the dashboard."""

from collections.abc import Collection

from meetingpool.database.engine import Connection
from meetingpool.database.outbox import Kept, find_kept, list_kept, retry
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.refusals import Conflict, NotFound
from meetingpool.operations.changes import Change

_UNFINISHED = (AnnouncementState.PENDING, AnnouncementState.GIVEN_UP)


class NoSuchCallback(NotFound):
    """No callback has this number."""


class CallbackDelivered(Conflict):
    """A front end is told once."""


async def retry_callbacks(
    change: Change, ids: Collection[int] | None, *, tenant: str | None = None
) -> tuple[list[Kept], set[int]]:
    """Those with `ids`, or with None all that wait or were given up; only of the tenant with this id, if it is given.

    Returns them, and the numbers of those that are tried now; the others are tried anyway. Raises NoSuchCallback or
    CallbackDelivered.
    """
    wanted = await _unfinished(change.connection, tenant) if ids is None else await _named(change.connection, ids, tenant)
    retried = set(await retry(change.connection, [callback.id for callback in wanted]))
    for callback in wanted:
        before = {"kind": callback.kind, "host": callback.host, "state": callback.state, "attempts": callback.attempts}
        await change.note("callbacks.retry", str(callback.id), tenant=callback.tenant or None, before=before)
    return wanted, retried


async def _unfinished(connection: Connection, tenant: str | None) -> list[Kept]:
    return [callback for callback in await list_kept(connection, None, tenant) if callback.state in _UNFINISHED]


async def _named(connection: Connection, ids: Collection[int], tenant: str | None) -> list[Kept]:
    found = {each.id: each for each in await find_kept(connection, ids) if tenant is None or each.tenant == tenant}
    for number in ids:
        if number not in found:
            raise NoSuchCallback(f"No callback found with id: {number}; `meetingpool callbacks list` shows them all")
        if found[number].state is AnnouncementState.DELIVERED:
            raise CallbackDelivered(f"Callback {number} was delivered: leave it out, a front end is told once")
    return list(found.values())
