"""Servers that register themselves, at a pool that is managed."""

from dataclasses import dataclass
from typing import Any

from meetingpool.database.servers import find_server
from meetingpool.domain.access import Role
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState, Server, Standing
from meetingpool.operations.api_tokens import create_token
from meetingpool.operations.changes import Change, changing
from meetingpool.operations.expire_registrations import lapse_overdue, remove_abandoned
from simulator.server import SimulatedServer
from tests.actors import SOMEBODY
from tests.management import ManagedPool

LIFETIME = 300.0
POLLER = Actor(kind=ActorKind.SYSTEM, name="poller")
HERE = RegistrationRules(enters=AdminState.ENABLED, hosts=("127.0.0.1",))


@dataclass
class Hosts:
    """BBB hosts that call with the token `hosts`. `host`: the first of them, which is known as `one`."""

    managed: ManagedPool
    host: SimulatedServer

    @property
    def body(self) -> dict[str, Any]:
        return {"id": "one", "url": self.host.url, "secret": self.host.secret}

    async def register(self, caller: str = "hosts", **more: Any) -> Any:
        return await self.managed.done("POST", "/registrations", caller, json={**self.body, **more})

    async def leave(self, *, now: bool = False, caller: str = "hosts") -> Any:
        return await self.managed.done("DELETE", "/registrations/one", caller, params={"now": str(now).lower()})

    async def new_token(self, name: str, rules: RegistrationRules = HERE) -> str:
        async with changing(self.managed.pool.database, SOMEBODY) as change:
            self.managed.tokens[name] = (await create_token(change, name, Role.SERVER, registers=rules)).plain
        return name

    async def server(self, name: str = "one") -> Server | None:
        async with self.managed.pool.database.transaction() as connection:
            return await find_server(connection, name)

    async def summary(self, name: str = "one") -> tuple[AdminState, Standing, AdminState | None]:
        server = await self.server(name)
        assert server is not None
        assert server.registration is not None
        return server.admin_state, server.registration.standing, server.registration.state

    async def wait(self, seconds: float) -> None:
        """As if so much time had passed for all registrations."""
        async with self.managed.pool.database.transaction() as connection:
            await connection.execute(
                "UPDATE servers SET registered_until = registered_until - make_interval(secs => $1)", seconds
            )

    async def poller_looks(self) -> tuple[list[str], list[str]]:
        """Which servers lapsed, and which were taken out."""
        async with self.managed.pool.database.transaction() as connection:
            silent = await lapse_overdue(Change(connection, POLLER), LIFETIME)
        async with self.managed.pool.database.transaction() as connection:
            return list(silent), list(await remove_abandoned(Change(connection, POLLER), LIFETIME))


async def hosts_of(managed: ManagedPool) -> Hosts:
    """The first simulated server is no longer in the pool, and may register itself."""
    host = managed.pool.fleet.servers[0]
    await managed.done("POST", f"/servers/{host.name}/panic")
    await managed.done("DELETE", f"/servers/{host.name}")
    hosts = Hosts(managed, host)
    await hosts.new_token("hosts")
    return hosts
