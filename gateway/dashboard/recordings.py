"""Recordings: found, shown to people or not, deleted and brought back."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from gateway.dashboard.answers import Done, View
from gateway.dashboard.paging import ROWS, Rows, query
from gateway.dashboard.visits import Visit, filters_of
from gateway.playback_links import playing
from gateway.state import Gateway
from meetingpool.database.overviews import look_for_recordings
from meetingpool.database.recordings import Listed, list_recordings
from meetingpool.domain.recordings import FORMAT_NAME, RECORD_ID, RecordingState
from meetingpool.operations.administer_recordings import EDITS, NoSuchRecording, assign_recordings, edit_recordings
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.changes import changing
from meetingpool.operations.recording_records import recording_record
from meetingpool.operations.records import tenant_names

_SHOWN = {
    "published": (RecordingState.PUBLISHED,),
    "unpublished": (RecordingState.UNPUBLISHED,),
    "processing": (RecordingState.PROCESSING,),
    "deleted": (RecordingState.DELETED,),
}
_NOT_DELETED = [state for state in RecordingState if state is not RecordingState.DELETED]
_DONE = {
    "publish": "published",
    "unpublish": "unpublished",
    "protect": "protected: they open by links that work once",
    "unprotect": "no longer protected",
    "delete": "deleted, and can be restored from the trash for a while",
    "restore": "restored, and unpublished",
}
# Seconds for which a link from here to a protected recording opens it.
_LINK_SECONDS = 60


async def show_recordings(visit: Visit) -> View:
    asked = filters_of(visit, "q", "state", "tenant", "protected")
    async with visit.database.transaction() as connection:
        tenant = visit.token.tenant or await tenant_id_of(connection, asked["tenant"] or None)
        ids = await look_for_recordings(
            connection,
            text=asked["q"] or None,
            tenant=tenant,
            states=_SHOWN.get(asked["state"], _NOT_DELETED),
            is_protected=True if asked["protected"] else None,
            after=_position(visit.asked("after")),
            limit=ROWS + 1,
        )
        found = await list_recordings(connection, record_ids=ids[:ROWS])
        tenants = await tenant_names(connection)
    older = query(asked, after=f"{found[-1].start_ms}.{found[-1].record_id}") if len(ids) > ROWS else None
    listed = Rows(rows=[recording_record(each, tenants) for each in found], older=older)
    values: dict[str, Any] = {
        "listed": listed,
        "asked": asked,
        "states": list(_SHOWN),
        "verbs": EDITS,
        "tenants": sorted(tenants.values()),
        "is_disabled": visit.gateway.settings.recording_disabled,
        "trash_days": visit.gateway.settings.recording_trash_days,
    }
    return View(template="recordings.html", title="Recordings", values=values)


def editing(verb: str) -> Callable[[Visit], Awaitable[Done]]:
    """The action that does what `verb` of EDITS says."""

    async def edit(visit: Visit) -> Done:
        async with changing(visit.database, visit.actor) as change:
            changed = await edit_recordings(change, verb, visit.chosen(), tenant=visit.token.tenant)
        return Done(message=f"{_named(changed)} {'is' if len(changed) == 1 else 'are'} {_DONE[verb]}")

    return edit


async def assign(visit: Visit) -> Done:
    """Raises NoSuchTenant, NoSuchRecording or WrongState."""
    async with changing(visit.database, visit.actor) as change:
        tenant, changed = await assign_recordings(change, visit.given("tenant"), visit.chosen())
    return Done(message=f"Tenant {tenant.name} has {_named(changed).lower()} now")


async def where_played(visit: Visit) -> str:
    """Where a recording is played; to a protected one, by a link that works once. Raises NoSuchRecording."""
    record_id, name = visit.asked("id"), visit.asked("format")
    if not (RECORD_ID.fullmatch(record_id) and FORMAT_NAME.fullmatch(name)):
        raise NoSuchRecording("No recording is named")
    async with visit.database.transaction() as connection:
        found = await list_recordings(connection, record_ids=[record_id], tenant=visit.token.tenant)
    if not found or found[0].state is not RecordingState.PUBLISHED or name not in found[0].formats:
        raise NoSuchRecording("Only recordings that are published can be played")
    return _link(visit.gateway, found[0], name)


def _link(gateway: Gateway, recording: Listed, name: str) -> str:
    tenant = gateway.tenants.of(recording.tenant)
    before = f"/t/{quote(tenant.name)}" if tenant and gateway.tenants.are_many else ""
    token = ""
    if recording.is_protected:
        token = f"?token={gateway.links.token_for(playing(recording.record_id, name), _LINK_SECONDS)}"
    # Where playing has a host name of its own, the settings say so.
    return f"{gateway.tenants.configured_url or ''}{before}/recording/{recording.record_id}/{name}{token}"


def _position(text: str) -> tuple[int, str] | None:
    start_ms, _, record_id = text.partition(".")
    is_one = start_ms.isascii() and start_ms.isdecimal() and len(start_ms) < 18 and RECORD_ID.fullmatch(record_id)
    return (int(start_ms), record_id) if is_one else None


def _named(record_ids: Sequence[str]) -> str:
    return f"Recording {record_ids[0]}" if len(record_ids) == 1 else f"{len(record_ids)} recordings"
