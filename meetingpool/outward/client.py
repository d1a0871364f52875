"""The client that calls addresses that others gave us. Used by those who deliver callbacks and fetch tokens."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Literal, Self

from meetingpool.domain.addresses import Address
from meetingpool.outward.errors import NotDelivered
from meetingpool.outward.reasons import reason_of
from meetingpool.outward.targets import EVERYTHING_ALLOWED, AllowList, require_allowed, require_outside
from meetingpool.outward.urls import Url, read_address

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 15.0
MAX_REPLY_BYTES = 64 * 1024
# A name may stand for any number of addresses.
MAX_ADDRESSES_TRIED = 4
# Look-ups cannot be interrupted. In threads of their own, names that nobody answers for hold up callbacks only.
LOOK_UP_THREADS = 8

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardRequest:
    """`only_hosts`: the hosts that the URL may name, as `example.org` or `*.example.org`; None: any.

    `is_from_administrator`: who chose the URL may as well choose what is inside our network, so addresses are not checked.
    """

    method: Literal["GET", "POST"]
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    only_hosts: Collection[str] | None = None
    is_from_administrator: bool = False


@dataclass(frozen=True, slots=True)
class OutwardReply:
    """Whatever status came, redirects too. `body` ends after 64 kB."""

    status: int
    body: bytes = field(repr=False)


class Outward:
    """The client. Use as an async context manager."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        total_timeout: float = TOTAL_TIMEOUT,
    ) -> None:
        """`allowed` is what `AllowList.read` takes. `resolve` gives the addresses of a host name for a port; unset: the system's
        way. `tls` says which certificates are believed; unset: what the system believes. Times in seconds: `total_timeout`
        for everything, the look-up included, `connect_timeout` for each address that is tried.
        """
        self._allowed = AllowList.read(allowed)
        self._look_ups = ThreadPoolExecutor(LOOK_UP_THREADS, thread_name_prefix="look-up")
        self._resolve = resolve or self._ask_system
        self._given_tls = tls
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._look_ups.shutdown(wait=False)

    async def send(self, request: OutwardRequest) -> OutwardReply:
        """The reply to `request`. Raises ForbiddenAddress or NotDelivered."""
        allowed = EVERYTHING_ALLOWED if request.is_from_administrator else self._allowed
        url = require_allowed(request.url, allowed, request.only_hosts)
        try:
            async with asyncio.timeout(self._total_timeout):
                addresses = await self._addresses_of(url)
                require_outside(url.host, addresses, allowed)
                return await self._send_to_first_that_listens(request, url, addresses[:MAX_ADDRESSES_TRIED])
        except TimeoutError:
            raise NotDelivered(f"no complete reply within {self._total_timeout:g} s") from None

    async def _addresses_of(self, url: Url) -> list[Address]:
        if url.address is not None:
            return [url.address]
        try:
            found = list(dict.fromkeys(await self._resolve(url.host, url.port)))
        except OSError as error:
            raise NotDelivered(f"the host name could not be looked up: {reason_of(error)}") from None
        if not found:
            raise NotDelivered("the host name stands for no address")
        return [read_address(text) for text in found]

    async def _ask_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._look_ups, _look_up, host, port)

    async def _send_to_first_that_listens(self, request: OutwardRequest, url: Url, addresses: Sequence[Address]) -> OutwardReply:
        # Whoever only might have to call somebody does without it: it takes a megabyte.
        from meetingpool.outward.exchange import NobodyListens, exchange

        tls = self._tls if url.scheme == "https" else None
        reason = ""
        for address in addresses:
            try:
                return await exchange(request, url, address, tls=tls, connect_timeout=self._connect_timeout)
            except NobodyListens as error:
                reason = str(error)
        raise NotDelivered(f"no connection: {reason}")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # It reads all certificate authorities of the system, which takes a while and a megabyte.
        return self._given_tls or ssl.create_default_context()


def _look_up(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
