"""The client that calls addresses that others gave us. Used by those who deliver callbacks and fetch tokens.

It is made of httpcore, the lower half of HTTPX: what goes in are the parts of a URL, so nothing reads it a second time.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Literal, Self

import httpcore

from meetingpool.domain.addresses import Address
from meetingpool.outward.errors import NotDelivered
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
            raise NotDelivered(f"the host name could not be looked up: {_reason(error)}") from None
        if not found:
            raise NotDelivered("the host name stands for no address")
        return [read_address(text) for text in found]

    async def _ask_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._look_ups, _look_up, host, port)

    async def _send_to_first_that_listens(self, request: OutwardRequest, url: Url, addresses: Sequence[Address]) -> OutwardReply:
        reason = ""
        for address in addresses:
            try:
                return await self._exchange(_pinned(request, url, address, self._connect_timeout))
            except httpcore.ConnectTimeout:
                reason = f"nothing answered within {self._connect_timeout:g} s"
            except httpcore.ConnectError as error:
                reason = _reason(error)
            except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
                # Without its cause: what it quotes is not ours to show.
                raise NotDelivered(f"the connection broke: {_reason(error)}") from None
        raise NotDelivered(f"no connection: {reason}")

    async def _exchange(self, request: httpcore.Request) -> OutwardReply:
        # A connection belongs to the name that its certificate was checked for. The next name may stand for the same address,
        # by which a pool would know it; so each exchange has a connection of its own.
        tls = self._tls if request.url.scheme == b"https" else None
        async with aclosing(_Network()) as network:
            connection = httpcore.AsyncHTTPConnection(request.url.origin, ssl_context=tls, network_backend=network)
            async with aclosing(await connection.handle_async_request(request)) as response:
                return OutwardReply(response.status, await _read_limited(response))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # It reads all certificate authorities of the system, which takes a while and a megabyte.
        return self._given_tls or ssl.create_default_context()


class _Network(httpcore.AnyIOBackend):
    """The one connection of an exchange. httpcore would leave it open that is given up in the middle of a TLS handshake."""

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return self._stream

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


def _look_up(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _pinned(request: OutwardRequest, url: Url, address: Address, connect_timeout: float) -> httpcore.Request:
    """The request to `address`, with the name where the other side looks for it."""
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.scheme, host=str(address), port=url.port, target=url.target),
        headers=_headers(request, url.authority),
        content=request.body,
        extensions={"sni_hostname": url.host, "timeout": {"connect": connect_timeout}},
    )


def _headers(request: OutwardRequest, authority: str) -> list[tuple[str, str]]:
    """Those of the request replace what is usual, and never what guards."""
    usual = [("Host", authority), ("User-Agent", "Meetingpool")]
    guarding = [("Host", authority), ("Accept-Encoding", "identity"), ("Connection", "close")]
    if request.method == "POST":
        guarding.append(("Content-Length", str(len(request.body))))
    return list({name.lower(): (name, value) for name, value in [*usual, *request.headers, *guarding]}.values())


async def _read_limited(response: httpcore.Response) -> bytes:
    """The first 64 kB, as they came: what is compressed stays compressed."""
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) >= MAX_REPLY_BYTES:
            break
    return bytes(body[:MAX_REPLY_BYTES])


def _reason(error: BaseException) -> str:
    """What was wrong at the bottom, in words of the system: without addresses, and nothing of what was sent."""
    for inner in _chain(error):
        match inner:
            case ssl.SSLCertVerificationError():
                return f"the certificate is not believed ({inner.verify_message})"
            case socket.gaierror():
                return str(inner.strerror)
            case OSError(errno=int(number)) if not isinstance(inner, ssl.SSLError):
                return os.strerror(number)
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
