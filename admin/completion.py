"""Names for the shell's completion. Never waits for, starts or complains about anything."""

import asyncio
from collections.abc import Awaitable, Callable

from meetingpool.database.api_tokens import list_tokens
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.imports import ImportState, list_imports
from meetingpool.database.meetings import all_meetings
from meetingpool.database.outbox import list_kept
from meetingpool.database.recordings import list_recordings
from meetingpool.database.revision import WrongRevision, require_revision
from meetingpool.database.servers import all_servers
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.recordings import RecordingState
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, SettingsError, read_settings

# Recordings among which one is looked for.
NEWEST = 1000

Names = Callable[[Connection], Awaitable[list[str]]]


def server_ids(incomplete: str) -> list[str]:
    """The ids of servers that begin so; none with the embedded database, which would have to be started."""
    return _beginning(incomplete, _server_ids)


def tenant_names(incomplete: str) -> list[str]:
    """The names of tenants that begin so, as for servers."""
    return _beginning(incomplete, _tenant_names)


def meeting_ids(incomplete: str) -> list[str]:
    """The ids of meetings that begin so, as for servers."""
    return _beginning(incomplete, _meeting_ids)


def callback_ids(incomplete: str) -> list[str]:
    """The numbers of callbacks that are not delivered."""
    return _beginning(incomplete, _callback_ids)


def record_ids(incomplete: str) -> list[str]:
    """The ids of recordings that begin so, of the newest ones; as for servers."""
    return _beginning(incomplete, _record_ids)


def deleted_record_ids(incomplete: str) -> list[str]:
    """Of recordings that were deleted and can be restored."""
    return _beginning(incomplete, _deleted_record_ids)


def refused_archives(incomplete: str) -> list[str]:
    """The numbers of archives in quarantine."""
    return _beginning(incomplete, _refused_archives)


def token_names(incomplete: str) -> list[str]:
    """Of tokens that count."""
    return _beginning(incomplete, _token_names)


def _beginning(incomplete: str, names: Names) -> list[str]:
    try:
        settings = read_settings()
        found = asyncio.run(_asked(settings, names)) if settings.database_url else []
    except (SettingsError, DatabaseUnavailable, WrongRevision):
        return []
    return [name for name in found if name.startswith(incomplete)]


async def _asked(settings: Settings, names: Names) -> list[str]:
    database = Database(str(settings.database_url), name="completion", pool_size=1, keyring=keyring_of(settings))
    try:
        await require_revision(database)
        async with database.transaction() as connection:
            return await names(connection)
    finally:
        await database.close()


async def _server_ids(connection: Connection) -> list[str]:
    return [server.id for server in await all_servers(connection)]


async def _token_names(connection: Connection) -> list[str]:
    return [token.name for token in await list_tokens(connection) if token.revoked_at is None]


async def _tenant_names(connection: Connection) -> list[str]:
    return [tenant.name for tenant in await all_tenants(connection)]


async def _record_ids(connection: Connection) -> list[str]:
    listed = await list_recordings(connection, limit=NEWEST)
    return [recording.record_id for recording in listed if recording.wanted is not RecordingState.DELETED]


async def _deleted_record_ids(connection: Connection) -> list[str]:
    listed = await list_recordings(connection, state=RecordingState.DELETED, limit=NEWEST)
    return [recording.record_id for recording in listed if recording.formats]


async def _refused_archives(connection: Connection) -> list[str]:
    return [str(refused.id) for refused in await list_imports(connection, [ImportState.QUARANTINED])]


async def _meeting_ids(connection: Connection) -> list[str]:
    return sorted({meeting.key.meeting_id for meeting in await all_meetings(connection)})


async def _callback_ids(connection: Connection) -> list[str]:
    kept = await list_kept(connection, None, None)
    return [str(callback.id) for callback in kept if callback.state is not AnnouncementState.DELIVERED]
