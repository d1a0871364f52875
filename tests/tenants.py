"""Tenants for tests: each is `id-of-<name>` and signs with `secret of <name>`."""

from meetingpool.database.engine import Database
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.tenants import Tenant


async def add_tenants(database: Database, *names: str) -> None:
    async with database.transaction() as connection:
        for name in names:
            await insert_tenant(connection, Tenant(id=f"id-of-{name}", name=name, secrets=(f"secret of {name}",)))
