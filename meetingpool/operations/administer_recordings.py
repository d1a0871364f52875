"""What an administrator does to recordings: by their ids, all or none, kept in the audit.

Called by `meetingpool recordings`, the management API and the dashboard. The files are moved later (`settle_recording.py`).
"""

from collections.abc import Mapping, Sequence

from meetingpool.database import recordings
from meetingpool.database.engine import Connection
from meetingpool.database.recordings import Listed
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import RecordId, RecordingState
from meetingpool.domain.refusals import Conflict, NotFound
from meetingpool.domain.tenants import Tenant
from meetingpool.operations import change_recordings as edits
from meetingpool.operations.change_recordings import Edit, change_within
from meetingpool.operations.change_tenant import tenant_named
from meetingpool.operations.changes import Change

EDITS: Mapping[str, Edit] = {
    "publish": edits.published,
    "unpublish": edits.unpublished,
    "protect": edits.protected(True),
    "unprotect": edits.protected(False),
    "delete": edits.deleted,
    "restore": edits.restored,
}


class NoSuchRecording(NotFound):
    """No recording has this id."""


class WrongState(Conflict):
    """The recording was deleted, or was not, or its files are gone."""


async def edit_recordings(change: Change, verb: str, record_ids: Sequence[str], *, tenant: str | None = None) -> list[RecordId]:
    """Does what `verb` of EDITS says to recordings, of the tenant with this id if it is given. Returns them, each once.

    Raises NoSuchRecording or WrongState.
    """
    found = await _all_named(change.connection, record_ids, tenant, deleted=verb == "restore")
    changed = await change_within(
        change.connection, [each.record_id for each in found], EDITS[verb], of_deleted=verb == "restore"
    )
    for each in found:
        before = {"state": each.wanted, "protected": each.is_protected}
        await change.note(f"recordings.{verb}", each.record_id, tenant=each.tenant, before=before)
    return changed


async def assign_recordings(change: Change, tenant: str, record_ids: Sequence[str]) -> tuple[Tenant, list[RecordId]]:
    """Gives recordings to the tenant with the id or the name `tenant`; without ids, all that are of none.

    Raises NoSuchTenant, NoSuchRecording or WrongState.
    """
    known = await tenant_named(change.connection, tenant)
    if record_ids:
        found = await _all_named(change.connection, record_ids, None)
    else:
        found = await recordings.list_recordings(change.connection, tenant=DEFAULT_TENANT)
    assigned = await recordings.assign_recordings(change.connection, [each.record_id for each in found], known.id)
    for each in found:
        await change.note(
            "recordings.assign", each.record_id, tenant=known.id, before={"tenant": each.tenant}, after={"tenant": known.id}
        )
    return known, assigned


async def _all_named(
    connection: Connection, record_ids: Sequence[str], tenant: str | None, *, deleted: bool = False
) -> list[Listed]:
    found = {
        each.record_id: each for each in await recordings.list_recordings(connection, record_ids=list(record_ids), tenant=tenant)
    }
    return [_usable(record_id, found.get(RecordId(record_id)), deleted=deleted) for record_id in dict.fromkeys(record_ids)]


def _usable(record_id: str, recording: Listed | None, *, deleted: bool) -> Listed:
    if recording is None:
        raise NoSuchRecording(f"No recording found with id: {record_id}; `meetingpool recordings list` shows them all")
    is_deleted = recording.wanted is RecordingState.DELETED
    if is_deleted and not deleted:
        raise WrongState(f"Recording {record_id} was deleted; `meetingpool recordings restore` brings it back from the trash")
    if deleted and not is_deleted:
        raise WrongState(f"Recording {record_id} was not deleted")
    if deleted and not recording.formats:
        raise WrongState(f"The files of recording {record_id} were removed for good; import its archive with --force")
    return recording
