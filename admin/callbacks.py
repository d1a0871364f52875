"""What `callbacks list` and `retry` do."""

from collections.abc import Sequence

from admin.connection import changing
from admin.output import Column, Listing, iso_time
from admin.server_changes import tell
from meetingpool.database.engine import Database
from meetingpool.database.outbox import list_kept
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations import retry_callbacks as retrying
from meetingpool.operations.change_tenant import tenant_id_of
from meetingpool.operations.records import CallbackRecord, callback_record, names_of, tenant_names

_COLUMNS = [
    Column("ID", lambda callback: callback["id"], is_number=True),
    Column("TENANT", lambda callback: callback["tenant"], can_be_spared=True),
    Column("MEETING", lambda callback: callback["meeting"]),
    Column("KIND", lambda callback: callback["kind"]),
    Column("HOST", lambda callback: callback["host"]),
    Column("STATE", lambda callback: callback["state"]),
    Column("ATTEMPTS", lambda callback: callback["attempts"], is_number=True),
    Column("NEXT ATTEMPT", lambda callback: callback["next_attempt"] and iso_time(callback["next_attempt"])),
    Column("LAST ERROR", lambda callback: callback["last_error"]),
]
_URL_COLUMN = Column("URL", lambda callback: callback["url"])


async def list_callbacks(
    database: Database, state: AnnouncementState | None, tenant: str | None, *, show_urls: bool = False
) -> Listing:
    """Callbacks, the oldest first; only those in `state`, and of the tenant with the id or the name `tenant`, if given."""
    async with database.transaction() as connection:
        kept = await list_kept(connection, state, await tenant_id_of(connection, tenant))
        tenants = await tenant_names(connection)
    return Listing(
        names=names_of(CallbackRecord) + ("url",) * show_urls,
        records=[callback_record(callback, tenants, show_url=show_urls) for callback in kept],
        columns=_COLUMNS + [_URL_COLUMN] * show_urls,
        when_empty="No callbacks are kept",
    )


async def retry_callbacks(database: Database, ids: Sequence[int], *, everything: bool, dry_run: bool) -> None:
    """Those with `ids`, or `everything` that waits or was given up. Raises NoSuchCallback or CallbackDelivered."""
    async with changing(database, dry_run=dry_run) as change:
        wanted, retried = await retrying.retry_callbacks(change, None if everything else ids)
    for callback in wanted:
        when = "now" if callback.id in retried else "within a minute anyway"
        tell(f"Callback {callback.id} ({callback.kind}, to {callback.host}) is tried {when}", dry_run=dry_run)
    if not wanted:
        tell("No callback waits or was given up", dry_run=dry_run)
