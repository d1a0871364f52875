"""Callbacks to front ends: those on their way, those that failed, those that were delivered lately."""

from gateway.dashboard.answers import Done, View
from gateway.dashboard.imports import numbers
from gateway.dashboard.paging import page_of
from gateway.dashboard.visits import Visit, filters_of
from meetingpool.database.outbox import list_kept
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.changes import changing
from meetingpool.operations.records import callback_record, tenant_names
from meetingpool.operations.retry_callbacks import retry_callbacks


async def show_callbacks(visit: Visit) -> View:
    asked = filters_of(visit, "state", "tenant")
    state = AnnouncementState(asked["state"]) if asked["state"] in list(AnnouncementState) else None
    async with visit.database.transaction() as connection:
        tenant = visit.token.tenant or await tenant_id_of(connection, asked["tenant"] or None)
        kept = await list_kept(connection, state, tenant)
        tenants = await tenant_names(connection)
    newest_first = [(callback_record(each, tenants), each.created_at) for each in reversed(kept)]
    values = {
        "listed": page_of(newest_first, visit.asked("page"), asked),
        "asked": asked,
        "states": [str(each) for each in AnnouncementState],
        "tenants": sorted(tenants.values()),
    }
    return View(template="callbacks.html", title="Callbacks", values=values)


async def retry(visit: Visit) -> Done:
    """Raises NoSuchCallback or CallbackDelivered."""
    async with changing(visit.database, visit.actor) as change:
        wanted, retried = await retry_callbacks(change, numbers(visit), tenant=visit.token.tenant)
    anyway = f"; {len(wanted) - len(retried)} within a minute anyway" if len(wanted) > len(retried) else ""
    return Done(message=f"{len(retried)} callbacks are tried now{anyway}")
