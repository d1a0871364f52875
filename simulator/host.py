"""A simulated server together with its port, its calls to others and its recordings.

It is what faults, restarts and the end of the fleet act upon.
"""

import asyncio
import contextlib
from typing import Any

from simulator.delivery import Delivery
from simulator.faults import NO_FAULTS, Faults
from simulator.listener import Listener
from simulator.publishing import Publishing
from simulator.server import SimulatedServer


class Host:
    def __init__(self, server: SimulatedServer, listener: Listener, publishing: Publishing | None = None) -> None:
        """Without `publishing` nothing comes of the recordings of its meetings."""
        self.server = server
        self._listener = listener
        self._delivery = Delivery(server)
        self._publishing = publishing
        self._recovery: asyncio.Task[None] | None = None

    async def start(self, application: Any) -> None:
        await self._listener.open(application)
        self.server.on_outward_call = self._delivery.start
        self.server.on_recorded = self._publishing.start if self._publishing else None

    async def stop(self) -> None:
        await self._cancel_recovery()
        await self._listener.close()
        self.server.on_outward_call = self.server.on_recorded = None
        if self._publishing:
            await self._publishing.give_up()
        await self._delivery.give_up()

    async def set_faults(self, faults: Faults, seconds: float | None = None) -> None:
        """Replaces the faults of the server, for good or for so many seconds."""
        await self._cancel_recovery()
        await self._apply(faults)
        if seconds is not None:
            self._recovery = asyncio.create_task(self._recover_after(seconds))

    async def restart(self, *, keep_state: bool) -> None:
        """Breaks every connection and gives up every call in flight, those to others included. Recordings are made all the same.

        Without `keep_state` the meetings and the webhooks are gone too.
        """
        if not keep_state:
            self.server.forget_everything()
        await self._delivery.give_up()
        await self._listener.interrupt()

    async def _apply(self, faults: Faults) -> None:
        self.server.faults = faults
        if faults.refuse:
            await self._listener.refuse()
        else:
            await self._listener.accept()

    async def _recover_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._apply(NO_FAULTS)

    async def _cancel_recovery(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recovery
            self._recovery = None
