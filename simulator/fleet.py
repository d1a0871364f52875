"""Many simulated servers in one process and one event loop, each on its own port.

Tests and benchmarks run one around themselves; `python -m simulator` runs one until it is stopped.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Self

from meetingpool.clock import Clock, SystemClock
from simulator.application import Application
from simulator.control import control_application
from simulator.faults import Faults
from simulator.host import Host
from simulator.listener import Listener
from simulator.publishing import Publishing
from simulator.server import SimulatedServer

BBB_VERSION = "3.0.19"
EXPIRY_SECONDS = 1.0
RECORDING_DELAY = 10.0
_SYSTEM_CLOCK = SystemClock()


class Fleet:
    """`on_request` is called with the server and the name of every call as it comes in, before anything else happens."""

    def __init__(self, hosts: list[Host]) -> None:
        self._hosts = {host.server.name: host for host in hosts}
        self.servers = [host.server for host in hosts]
        self.on_request: Callable[[SimulatedServer, str], None] | None = None
        for server in self.servers:
            server.on_request = self._tell

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        *,
        servers: int = 3,
        secret: str | None = None,
        clock: Clock = _SYSTEM_CLOCK,
        first_port: int = 0,
        bind: str = "127.0.0.1",
        seed: int = 1,
        version: str = BBB_VERSION,
        spool: Path | None = None,
        recording_delay: float = RECORDING_DELAY,
    ) -> AsyncIterator[Self]:
        """A fleet that runs as long as the context.

        `first_port` 0 takes any free ports, otherwise the ports follow each other. Without a `secret` each server has its
        own. Recordings are delivered to `spool`, `recording_delay` seconds after their meetings. Raises OSError when a port is
        taken.
        """
        hosts: list[Host] = []
        try:
            for number in range(servers):
                port = first_port + number if first_port else 0
                random = Random(f"{seed}-{number}")
                listener = Listener(bind, port)
                server = SimulatedServer(
                    name=f"server-{number + 1}",
                    secret=secret or f"{random.getrandbits(128):032x}",
                    origin=f"http://{bind}:{listener.port}",
                    clock=clock,
                    random=random,
                    version=version,
                )
                host = Host(server, listener, Publishing(server, spool, recording_delay) if spool else None)
                hosts.append(host)
                await host.start(Application(server, control_application(host)))
            async with _ending_meetings([host.server for host in hosts]):
                yield cls(hosts)
        finally:
            await asyncio.gather(*(host.stop() for host in hosts))

    async def set_faults(self, server: SimulatedServer, faults: Faults, seconds: float | None = None) -> None:
        """Replaces the faults of `server`, for good or for so many seconds. `Faults()` makes it healthy."""
        await self._hosts[server.name].set_faults(faults, seconds)

    async def restart(self, server: SimulatedServer, *, keep_state: bool) -> None:
        """As after a crash: connections break, calls in flight are lost, and without `keep_state` meetings and webhooks too."""
        await self._hosts[server.name].restart(keep_state=keep_state)

    def _tell(self, server: SimulatedServer, call: str) -> None:
        if self.on_request:
            self.on_request(server, call)


@contextlib.asynccontextmanager
async def _ending_meetings(servers: list[SimulatedServer]) -> AsyncIterator[None]:
    """Ends meetings whose time has come although nobody calls their server: somebody may wait to be told."""
    ending = asyncio.create_task(_end_meetings(servers))
    try:
        yield
    finally:
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending


async def _end_meetings(servers: list[SimulatedServer]) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        for server in servers:
            server.expire_meetings()
