"""Opens connections to web servers: name, TCP, TLS. Called by the connections to the media servers."""

import asyncio
import ssl
from functools import cached_property

from meetingpool.bbb.names import Names
from meetingpool.bbb.targets import Origin


class Dialler:
    """Tries the addresses of a server in their order. Certificates are verified; nothing of the environment's proxies is used."""

    def __init__(self, names: Names, loop: asyncio.AbstractEventLoop) -> None:
        self._names = names
        self._loop = loop

    async def dial(self, origin: Origin, protocol: asyncio.Protocol, until: float) -> None:
        """Connects `protocol` before the time `until` of the loop. Raises OSError, TimeoutError among them."""
        addresses = await self._names.addresses(origin.host, until - self._loop.time())
        for tried, address in enumerate(addresses, start=1):
            # An address that swallows everything leaves time for the others.
            share = (until - self._loop.time()) / (len(addresses) - tried + 1)
            try:
                async with asyncio.timeout(share):
                    await self._open(origin, address, protocol)
            except OSError:
                if tried == len(addresses):
                    raise
            else:
                return

    async def _open(self, origin: Origin, address: str, protocol: asyncio.Protocol) -> None:
        await self._loop.create_connection(
            lambda: protocol,
            address,
            origin.port,
            ssl=self._tls if origin.is_secure else None,
            server_hostname=origin.host.rstrip(".") if origin.is_secure else None,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # It reads all certificate authorities of the system, which takes a while.
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context
