"""Connections to the media servers: one exchange at a time on each, a bounded number to each server. Called by the client.

asyncio calls the protocol's methods. A connection is used again only when its last reply was complete and nothing came behind it;
everything else, be it a late, broken, unwanted or refused reply, closes it. Nothing is ever sent twice.
"""

import asyncio
import select
from collections import deque
from collections.abc import Iterable
from typing import cast

from meetingpool.bbb.dialler import Dialler
from meetingpool.bbb.errors import ConnectionLost, ReplyTimedOut, ServerFailure, UnusableAnswer
from meetingpool.bbb.replies import Reply, ReplyReader
from meetingpool.bbb.targets import Origin

# The loop's time has whole milliseconds; timers may come that much early.
_TICK = 0.001


class Connection(asyncio.Protocol):
    """A place among the connections to a server, and what was dialled for it."""

    _transport: asyncio.Transport

    def __init__(self, connections: "Connections", loop: asyncio.AbstractEventLoop) -> None:
        self._connections = connections
        self._loop = loop
        self._reader = ReplyReader()
        self._incoming = select.poll()
        self._awaited: asyncio.Future[Reply] | None = None
        self._deadline = 0.0
        # One timer for the deadline of an exchange and for the time between two; it is set anew only for an earlier moment.
        self._timer: asyncio.TimerHandle | None = None
        self._closes_at = 0.0
        self.is_dialled = False
        self.is_over = False

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and there is nothing to read: neither its end nor anything that was not asked for."""
        return not (self.is_over or self._transport.is_closing() or self._incoming.poll(0))

    async def exchange(self, request: Iterable[bytes], *, until: float, deadline: float, max_body: int) -> Reply:
        """Sends `request` and returns the reply, which may have a body of `max_body` bytes.

        `until` is the time of the loop when the exchange is given up, `deadline` the seconds that the caller gave it in all.
        Raises OutcomeUnknown.
        """
        awaited: asyncio.Future[Reply] = self._loop.create_future()
        self._awaited = awaited
        self._deadline = deadline
        self._reader.max_body = max_body
        self._close_at(until)
        for piece in request:
            self._transport.write(piece)
        try:
            return await awaited
        finally:
            # The caller was cancelled. Had the reply come just before, the connection might be in use again.
            if self._awaited is awaited:
                self.close()

    def close(self, error: ServerFailure | None = None) -> None:
        """Ends it at once, for whatever reason. An exchange under way fails with `error`."""
        awaited, self._awaited = self._awaited, None
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.is_dialled:
            self._transport.abort()
        self._connections.leave(self)
        if awaited is not None and not awaited.done():
            awaited.set_exception(error or ConnectionLost("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_dialled = True
        self._incoming.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        if self.is_over:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        awaited = self._awaited
        if awaited is None or awaited.done():
            self.close()
            return
        try:
            reply = self._reader.feed(data)
        except UnusableAnswer as error:
            self.close(error)
        else:
            if reply is not None:
                self._finish(awaited, reply)

    def eof_received(self) -> None:
        awaited, reply = self._awaited, self._reader.end()
        self.is_over = True
        if awaited is not None and not awaited.done() and reply is not None:
            self._finish(awaited, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = "closed before the reply was complete" if exc is None else type(exc).__name__
        self.close(ConnectionLost(f"the connection broke: {reason}"))

    def _finish(self, awaited: "asyncio.Future[Reply]", reply: Reply) -> None:
        self._awaited = None
        awaited.set_result(reply)
        # A server may reply before it has read all of a request; the rest of that would be the next one's beginning.
        is_sent = not self._transport.get_write_buffer_size()
        if self._reader.is_reusable and is_sent and not self.is_over and not self._transport.is_closing():
            self._reader.forget()
            self._close_at(self._loop.time() + self._connections.keep_idle)
            self._connections.put_back(self)
        else:
            self.close()

    def _close_at(self, moment: float) -> None:
        self._closes_at = moment
        if self._timer is not None and moment < self._timer.when():
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(moment, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() + _TICK < self._closes_at:
            self._close_at(self._closes_at)
        else:
            self.close(ReplyTimedOut(f"no complete answer within {self._deadline:g} s"))


class Connections:
    """The connections to one server, at most `limit`. The one used last is used next, so that the others can grow old and end.

    Whoever finds none free waits in a queue. What becomes free goes to the first in it: a connection, or the place of one that
    is to be dialled.
    """

    def __init__(
        self, origin: Origin, dialler: Dialler, loop: asyncio.AbstractEventLoop, *, limit: int, keep_idle: float
    ) -> None:
        """`keep_idle`: seconds after which a connection that nobody uses is closed."""
        self.keep_idle = keep_idle
        self._origin = origin
        self._dialler = dialler
        self._loop = loop
        self._limit = limit
        self._members: set[Connection] = set()
        self._idle: list[Connection] = []
        self._queue: deque[asyncio.Future[Connection]] = deque()
        self._is_closed = False

    def idle(self) -> Connection | None:
        """An open connection that nobody uses, to be used before anything else happens."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet:
                return connection
            connection.close()
        return None

    async def connect(self, until: float) -> Connection:
        """An open connection, when `idle` found none: the next to become free, or a new one.

        `until` is the time of the loop when it comes too late. Raises OSError when none can be opened.
        """
        connection = self._new_if_room() or await self._turn()
        while connection.is_dialled and not connection.is_quiet:
            connection.close()
            connection = self.idle() or self._new_if_room() or await self._turn(is_first=True)
        if not connection.is_dialled:
            await self._dial(connection, until)
        return connection

    def put_back(self, connection: Connection) -> None:
        """Nobody uses `connection` any more."""
        if waiting := self._next_in_queue():
            waiting.set_result(connection)
        else:
            self._idle.append(connection)

    def leave(self, connection: Connection) -> None:
        """`connection` is over; its place is free."""
        if connection not in self._members:
            return
        self._members.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if waiting := self._next_in_queue():
            waiting.set_result(self._new())

    def close(self) -> None:
        self._is_closed = True
        for connection in list(self._members):
            connection.close()

    async def _dial(self, connection: Connection, until: float) -> None:
        if self._is_closed:
            connection.close()
            raise ConnectionAbortedError("the client was closed")
        try:
            await self._dialler.dial(self._origin, connection, until)
        except BaseException:
            connection.close()
            raise
        if connection.is_over:
            raise ConnectionResetError("the server closed the connection at once")

    async def _turn(self, *, is_first: bool = False) -> Connection:
        waiting: asyncio.Future[Connection] = self._loop.create_future()
        if is_first:
            self._queue.appendleft(waiting)
        else:
            self._queue.append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled():
                self._pass_on(waiting.result())
            raise

    def _pass_on(self, connection: Connection) -> None:
        if connection.is_dialled and not connection.is_over:
            self.put_back(connection)
        else:
            connection.close()

    def _next_in_queue(self) -> "asyncio.Future[Connection] | None":
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.done():
                return waiting
        return None

    def _new_if_room(self) -> Connection | None:
        return self._new() if len(self._members) < self._limit else None

    def _new(self) -> Connection:
        connection = Connection(self, self._loop)
        self._members.add(connection)
        return connection
