"""Addresses of host names, looked up with a deadline and remembered. Called when a connection is dialled.

A resolver may hang for longer than anybody waits, and an event loop has few threads for all look-ups. So each name is looked up
in a thread of its own, one at a time: neither other names nor the end of the process wait for it. An address is looked up again
after a minute; for another minute it serves when the resolver does not.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Thread

from meetingpool.clock import Clock

# In seconds.
FRESH = 60.0
USABLE = 2 * FRESH
# Whoever has an address that may still serve waits no longer for a new one.
PATIENCE = 1.0

Addresses = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: Addresses
    since: float


def resolve(host: str) -> Addresses:
    """The IP addresses of `host`, in the order in which to try them. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Names:
    """What is known of names, for all connections of a client."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, resolve: Callable[[str], Addresses] = resolve) -> None:
        self._loop = loop
        self._clock = clock
        self._resolve = resolve
        self._known: dict[str, _Known] = {}
        self._under_way: dict[str, asyncio.Future[Addresses | OSError]] = {}

    async def addresses(self, host: str, patience: float) -> Addresses:
        """The addresses of `host`, which may be one itself, within `patience` seconds. Raises OSError."""
        if _is_address(host):
            return (host,)
        known = self._known.get(host)
        age = self._clock.monotonic() - known.since if known else USABLE
        if known and age < FRESH:
            return known.addresses
        old = known.addresses if known and age < USABLE else None
        answer = self._look_up(host)
        await asyncio.wait([answer], timeout=min(PATIENCE, patience / 2) if old else patience)
        found = answer.result() if answer.done() else TimeoutError("the look-up of the name took too long")
        if not isinstance(found, OSError):
            return found
        if old:
            return old
        raise found

    def _look_up(self, host: str) -> "asyncio.Future[Addresses | OSError]":
        answer = self._under_way.get(host)
        if answer is None:
            answer = self._under_way[host] = self._loop.create_future()
            try:
                Thread(target=self._look_up_in_thread, args=(host,), daemon=True).start()
            except RuntimeError:
                self._settle(host, OSError("no thread to look up the name"))
        return answer

    def _look_up_in_thread(self, host: str) -> None:
        found: Addresses | OSError
        try:
            found = self._resolve(host) or OSError("the name has no address")
        except OSError as error:
            found = error
        with suppress(RuntimeError):
            # Nobody waits any more when the loop is closed.
            self._loop.call_soon_threadsafe(self._settle, host, found)

    def _settle(self, host: str, found: Addresses | OSError) -> None:
        now = self._clock.monotonic()
        if not isinstance(found, OSError):
            self._known = {name: known for name, known in self._known.items() if now - known.since < USABLE}
            self._known[host] = _Known(found, now)
        self._under_way.pop(host).set_result(found)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
