"""LISTEN/NOTIFY: what one process commits, the others know at once.

A notification carries what changed, so that a listener need not ask. Whoever loses its connection has missed some, and loads
everything anew when it is back.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from meetingpool.database.engine import DRIVER_ERRORS, Connection, DatabaseUnavailable, connect_arguments, plain_url

CHANNEL = "meetingpool"
HEARTBEAT_SECONDS = 5.0
# PostgreSQL refuses payloads of 8,000 bytes and more.
MAX_PAYLOAD_BYTES = 7_500

_NOTIFY = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"

Listener = Callable[[dict[str, Any]], None]


async def notify(connection: Connection, kind: str, items: Iterable[Any]) -> None:
    """Tells all listeners, when the transaction commits, of `items` of one `kind`; in as many payloads as they need."""
    payloads = list(_payloads(kind, items))
    if payloads:
        await connection.execute(_NOTIFY, CHANNEL, payloads)


@asynccontextmanager
async def listening(url: str, name: str, listener: Listener) -> AsyncIterator[Callable[[], Any]]:
    """Calls `listener` with each notification. Yields a coroutine function that returns when the connection is lost.

    Raises DatabaseUnavailable.
    """
    lost = asyncio.Event()
    connection: asyncpg.Connection | None = None
    try:
        connection = await asyncpg.connect(plain_url(url), **connect_arguments(f"{name} listener"))
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: listener(json.loads(payload)))
    except (*DRIVER_ERRORS, OSError, TimeoutError) as error:
        if connection is not None:
            connection.terminate()
        raise DatabaseUnavailable(DatabaseUnavailable.__doc__) from error
    try:
        yield lambda: _until_lost(connection, lost)
    finally:
        connection.terminate()


async def _until_lost(connection: asyncpg.Connection, lost: asyncio.Event) -> None:
    # A connection that a firewall forgot is silent, not closed: only asking it tells.
    while not lost.is_set():
        try:
            await asyncio.wait_for(lost.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            try:
                await connection.execute("SELECT 1", timeout=HEARTBEAT_SECONDS)
            except (*DRIVER_ERRORS, OSError, TimeoutError):
                return


def _payloads(kind: str, items: Iterable[Any]) -> Iterator[str]:
    frame = len(json.dumps({"kind": kind, "items": []}))
    batch: list[str] = []
    size = frame
    for item in items:
        encoded = json.dumps(item)
        if batch and size + len(encoded) + 2 > MAX_PAYLOAD_BYTES:
            yield f'{{"kind": {json.dumps(kind)}, "items": [{", ".join(batch)}]}}'
            batch, size = [], frame
        batch.append(encoded)
        size += len(encoded) + 2
    if batch:
        yield f'{{"kind": {json.dumps(kind)}, "items": [{", ".join(batch)}]}}'
