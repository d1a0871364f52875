"""Looks at everything that really goes wrong, as far as it can be reached. Called by `meetingpool doctor`."""

from dataclasses import dataclass

from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.installation import storage_id
from meetingpool.database.servers import all_servers
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.servers import Server
from meetingpool.domain.tenants import Tenant
from meetingpool.operations.diagnose_database import diagnose_database
from meetingpool.operations.diagnose_directories import diagnose_directories
from meetingpool.operations.diagnose_regions import diagnose_country_file, diagnose_regions
from meetingpool.operations.diagnose_servers import diagnose_servers
from meetingpool.operations.diagnose_settings import diagnose_settings
from meetingpool.operations.diagnosis import Area, Finding
from meetingpool.settings import Settings

_TENANTS = Area("settings")
_SERVERS = Area("servers")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows."""

    servers: list[Server]
    tenants: list[Tenant]
    storage_id: str | None


async def diagnose(database: Database | None, settings: Settings, clock: Clock) -> list[Finding]:
    """The findings of all areas. Without a database, those of the areas that need none."""
    found = [*diagnose_settings(settings), *diagnose_country_file(settings)]
    known: _Known | None = None
    if database is not None:
        of_database, is_usable = await diagnose_database(database, clock)
        found += of_database
        known = await _look(database) if is_usable else None
    if known is None:
        advice = "put the database right, and call this again"
        found.append(_SERVERS.note("pool", "the servers are not looked at, since the database knows them", advice))
    else:
        found += _tenants(settings, known.tenants)
        found += diagnose_regions(settings, known.servers, known.tenants)
        found += await diagnose_servers(known.servers, settings, clock)
    return found + await diagnose_directories(settings, known.storage_id if known else None, is_known=known is not None)


async def _look(database: Database) -> _Known | None:
    try:
        async with database.transaction() as connection:
            return _Known(await all_servers(connection), await all_tenants(connection), await storage_id(connection))
    except DatabaseUnavailable:
        return None


def _tenants(settings: Settings, tenants: list[Tenant]) -> list[Finding]:
    if settings.multitenancy_enabled and not tenants:
        said = "it is on and there are no tenants, so every call is refused"
        return [_TENANTS.problem("MULTITENANCY_ENABLED", said, "`meetingpool tenants add` adds one, or take the setting out")]
    if tenants and not settings.multitenancy_enabled:
        said = f"it is off, and the {len(tenants)} tenants count for nothing"
        return [_TENANTS.note("MULTITENANCY_ENABLED", said, "set it to true, or remove them with `meetingpool tenants remove`")]
    return []
