"""One port of one simulated server: uvicorn's HTTP protocol on our own socket.

`uvicorn.Server` is left out on purpose: it wakes ten times a second per server, takes over signals, and cannot close its port and
open the same one again.
"""

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
# Until a reset has reached uvicorn, which would answer a cancelled call, and the clients' pools, which would use the connection.
_RESET_SECONDS = 0.01


class Listener:
    """A port that listens, refuses, and listens again. Its number stays its own meanwhile."""

    def __init__(self, bind: str, port: int) -> None:
        """Takes the port at once, so that its number is known; connections are refused until `open`."""
        self._socket = _bound_socket(bind, port)
        self._address = self._socket.getsockname()
        self._state = ServerState()
        self._config: uvicorn.Config | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return int(self._address[1])

    async def open(self, application: Any) -> None:
        self._config = uvicorn.Config(
            application,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        await self._listen()

    async def refuse(self) -> None:
        """Closes the port and every connection: new ones are refused."""
        if self._server is None:
            return
        server, self._server = self._server, None
        listening, self._socket = self._socket, self._hold_port()
        # asyncio loses a connection that it has accepted and not yet set up when its server closes: let those through first.
        asyncio.get_running_loop().remove_reader(listening)
        await asyncio.sleep(_RESET_SECONDS)
        server.close()
        listening.close()
        await self.disconnect()
        await server.wait_closed()

    async def accept(self) -> None:
        """Opens the port again."""
        if self._server is not None:
            return
        held, self._socket = self._socket, self._hold_port()
        held.close()
        await self._listen()

    async def disconnect(self) -> None:
        """Resets every connection, except those that are being closed in an orderly way."""
        open_connections = [each for each in self._state.connections if not each.transport.is_closing()]
        for connection in open_connections:
            connection.transport.abort()
        if open_connections:
            await asyncio.sleep(_RESET_SECONDS)

    async def interrupt(self) -> None:
        """Resets every connection and gives up the calls in flight, as a crash would."""
        await self.disconnect()
        calls = [call for call in self._state.tasks if call is not asyncio.current_task()]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def close(self) -> None:
        await self.refuse()
        await self.interrupt()
        self._socket.close()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, sock=self._socket, backlog=_BACKLOG)

    def _protocol(self) -> "_Protocol":
        if self._config is None:
            raise RuntimeError("The listener must be opened first.")
        return _Protocol(self._config, self._state, {})

    def _hold_port(self) -> socket.socket:
        """A second socket on the port, so that no other process is given the number while it refuses."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return _bound_socket(*self._address, is_shared=True)


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _bound_socket(bind: str, port: int, *, is_shared: bool = False) -> socket.socket:
    # Naming TCP makes asyncio switch Nagle's algorithm off on the accepted connections.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((bind, port))
    except OSError:
        bound.close()
        raise
    return bound
