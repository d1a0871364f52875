"""A request to the management API that was let in: who asks, and by what means a handler does what is asked."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.management_api.problems import forbidden
from gateway.state import Gateway
from meetingpool.database.engine import Connection, Database
from meetingpool.database.tenants import find_tenant
from meetingpool.domain.access import ApiToken, Permission
from meetingpool.domain.audit import Actor
from meetingpool.operations import changes
from meetingpool.operations.change_tenant import NoSuchTenant, tenant_id_of
from meetingpool.operations.changes import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`dry_run`: nothing is to be changed, and what would be is to be answered."""

    gateway: Gateway
    token: ApiToken
    actor: Actor
    dry_run: bool = False

    @property
    def database(self) -> Database:
        """Of few connections, which are not those of the front ends' calls."""
        return self.gateway.management_database

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        return self.database.transaction()

    def changing(self) -> AbstractAsyncContextManager[Change]:
        return changes.changing(self.database, self.actor, dry_run=self.dry_run)

    def require(self, permission: Permission) -> None:
        """Raises the problem that names the permission, unless the token has it."""
        if not self.token.may(permission):
            raise forbidden(self.token, permission)

    async def tenant_asked(self, connection: Connection, name: str | None) -> str | None:
        """The id of the tenant whose things are asked for; None for all. `name`: what the request says, an id or a name.

        Raises NoSuchTenant for one that the token is not for, whether it is there or not.
        """
        if self.token.tenant is None or name is None:
            return self.token.tenant or await tenant_id_of(connection, name)
        known = await find_tenant(connection, name)
        if self.token.tenant not in (name, known and known.id):
            raise NoSuchTenant(f"No tenant found with id or name: {name}; `meetingpool tenants list` shows them all")
        return self.token.tenant
