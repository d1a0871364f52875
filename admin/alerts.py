"""What `alerts list`, `add`, `remove` and `test` do."""

from collections.abc import Sequence

from admin.connection import changing, this_account
from admin.output import Column, Listing, iso_time
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.clock import SystemClock
from meetingpool.database.alerts import all_hooks
from meetingpool.database.engine import Database
from meetingpool.domain.alerts import AlertKind
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations.alert_hooks import AlertHookRecord, add_hook, hook_record, host_of, remove_hook, try_hook
from meetingpool.operations.records import names_of
from meetingpool.outward.client import Outward
from meetingpool.settings import Settings

_COLUMNS = [
    Column("ID", lambda hook: hook["id"]),
    Column("HOST", lambda hook: hook["host"]),
    Column("KINDS", lambda hook: hook["kinds"] or "all"),
    Column("CREATED", lambda hook: iso_time(hook["created_at"])),
]
_URL_COLUMN = Column("URL", lambda hook: hook["url"])


async def list_hooks(database: Database, *, show_urls: bool = False) -> Listing:
    """The addresses that are told, the oldest first."""
    async with database.transaction() as connection:
        hooks = await all_hooks(connection)
    return Listing(
        names=names_of(AlertHookRecord) + ("url",) * show_urls,
        records=[hook_record(hook, show_url=show_urls) for hook in hooks],
        columns=_COLUMNS + [_URL_COLUMN] * show_urls,
        when_empty="Nobody is told of alerts; `meetingpool alerts add` adds an address",
    )


async def add(
    database: Database, settings: Settings, url: str, secret: str | None, kinds: Sequence[AlertKind], *, dry_run: bool
) -> None:
    """Raises InvalidHook or HookExists."""
    async with changing(database, dry_run=dry_run) as change:
        hook = await add_hook(change, url, secret=secret, kinds=kinds, allowed=settings.callback_allow)
    told = ", ".join(hook.kinds) if hook.kinds else "everything"
    tell(f"Address {hook.id} ({host_of(hook)}) is told: {told}", dry_run=dry_run)
    if secret is None and not dry_run:
        print(f"Its secret, which is not shown again: {hook.secret}", flush=True)


async def remove(database: Database, hook_id: str, *, dry_run: bool) -> None:
    """Raises NoSuchHook."""
    async with changing(database, dry_run=dry_run) as change:
        hook = await remove_hook(change, hook_id)
    tell(f"Address {hook.id} ({host_of(hook)}) is told no more", dry_run=dry_run)


async def test(database: Database, settings: Settings, hook_id: str) -> None:
    """Raises NoSuchHook, or Refused when the address did not take it."""
    async with Outward(allowed=settings.callback_allow) as outward:
        outcome = await try_hook(database, this_account(), outward, SystemClock(), hook_id)
    if outcome.state is not AnnouncementState.DELIVERED:
        raise Refused(f"The test was not delivered: {outcome.reason}")
    print(f"Address {hook_id} took the test: {outcome.reason}", flush=True)
