"""Calls to addresses that others gave us: callback URLs of front ends, token URLs of learning record stores.

Whoever gives us an address must not reach through us what is reachable for us only. So a URL is parsed once, its host is looked
up once, every address that the name stands for is checked, and the connection is made to a checked address, while TLS and the
Host header keep the name. No redirect is followed, no proxy of the environment used, nothing decoded, no connection used twice.

    OutwardFailure          the request was not delivered; the sentence holds no query and no user
        ForbiddenAddress    it must not be sent: trying again is of no use
        NotDelivered        it could not be sent, or no complete reply came back: it may be tried again

`require_allowed` is for whoever takes a URL in, so that a hopeless one is refused before it is kept. Sending is for those who
deliver callbacks and fetch tokens; how many requests are under way at once is their affair. docs/decisions/0008-outward.md.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Literal, Self

import httpx

from meetingpool.domain.addresses import Address, is_public, unmapped

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 15.0
MAX_REPLY_BYTES = 64 * 1024
MAX_URL_LENGTH = 8 * 1024
# A name may stand for any number of addresses.
MAX_ADDRESSES_TRIED = 4
# Look-ups cannot be interrupted. In threads of their own, names that nobody answers for hold up callbacks only.
LOOK_UP_THREADS = 8

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIRST_UNPRIVILEGED_PORT = 1024
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# A name that ends like this is an address in one of the ways of inet_aton: 127.1, 0x7f000001, 017700000001.
_NUMBER_AT_THE_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

_NOT_IN_HOSTS = frozenset(":/?#@[]")

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]


class OutwardFailure(Exception):
    """The request was not delivered."""


class ForbiddenAddress(OutwardFailure):
    """The URL, or what its host name stands for, must not be called."""


class NotDelivered(OutwardFailure):
    """No connection, or no complete reply within the time."""


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


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the administrator allows: networks, and hosts whatever they stand for. `*.example.org` is what is below it."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def read(cls, entries: Iterable[str]) -> Self:
        """`entries` like 10.20.0.0/16, lms.example.org or *.example.org. Raises ValueError with a sentence."""
        networks, hosts = [], []
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip()))
            except ValueError as error:
                if "/" in entry:
                    raise ValueError(f"{entry!r} is not a network like 10.20.0.0/16: {error}") from None
                hosts.append(read_host_pattern(entry))
        return cls(tuple(networks), tuple(hosts))

    def holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, as far as can be said without a look-up.

    `host` is in ASCII and lower case. `address` is set when the host is one; `is_exempt` when addresses need no check.
    """

    url: httpx.URL = field(repr=False)
    host: str
    port: int
    address: Address | None
    is_exempt: bool

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.url.port is None else f"{host}:{self.url.port}"


NOTHING_ALLOWED = AllowList()
_EVERYTHING_ALLOWED = AllowList((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))


def require_allowed(url: str, allowed: AllowList = NOTHING_ALLOWED, only_hosts: Collection[str] | None = None) -> Target:
    """What `url` leads to, without a look-up. Raises ForbiddenAddress when it will never be called."""
    parsed = _parsed(url)
    if parsed.scheme not in _DEFAULT_PORTS:
        raise ForbiddenAddress("only URLs with http or https are called")
    if parsed.userinfo:
        raise ForbiddenAddress("a URL that holds a user name or password is not called")
    port = parsed.port if parsed.port is not None else _DEFAULT_PORTS[parsed.scheme]
    if port not in _DEFAULT_PORTS.values() and not _FIRST_UNPRIVILEGED_PORT <= port <= 65535:
        raise ForbiddenAddress("only the ports 80, 443 and those from 1024 are called")
    host = _host_of(parsed)
    if only_hosts is not None and not _is_one_of(host, _usable_patterns(only_hosts)):
        raise ForbiddenAddress("the URL's host is not among those that may be called")
    target = Target(parsed, host, port, _as_address(host), is_exempt=_is_one_of(host, allowed.hosts))
    if target.address is not None:
        _require_outside([target.address], target, allowed)
    return target


def read_host_pattern(text: str) -> str:
    """A host name or `*.` and a host name, as hosts are compared. Raises ValueError with a sentence."""
    wanted = text.strip()
    star = "*." if wanted.startswith("*.") else ""
    name = wanted.removeprefix(star)
    with suppress(ForbiddenAddress):
        address = _as_address(name.removeprefix("[").removesuffix("]"))
        if address and not star:
            return str(address)
        if not address and not set(name) & _NOT_IN_HOSTS:
            return star + _host_of(_parsed(f"http://{name}"))
    raise ValueError(f"{text!r} is not a host name like lms.example.org or *.example.org")


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
        self._tls = tls or ssl.create_default_context()
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._look_ups.shutdown(wait=False)

    async def send(self, request: OutwardRequest) -> OutwardReply:
        """The reply to `request`. Raises ForbiddenAddress or NotDelivered."""
        allowed = _EVERYTHING_ALLOWED if request.is_from_administrator else self._allowed
        target = require_allowed(request.url, allowed, request.only_hosts)
        try:
            async with asyncio.timeout(self._total_timeout):
                addresses = await self._addresses_of(target)
                _require_outside(addresses, target, allowed)
                return await self._send_to_first_that_listens(request, target, addresses[:MAX_ADDRESSES_TRIED])
        except TimeoutError:
            raise NotDelivered(f"no complete reply within {self._total_timeout:g} s") from None

    async def _addresses_of(self, target: Target) -> list[Address]:
        if target.address is not None:
            return [target.address]
        try:
            found = list(dict.fromkeys(await self._resolve(target.host, target.port)))
        except OSError as error:
            raise NotDelivered(f"the host name could not be looked up: {_reason(error)}") from None
        if not found:
            raise NotDelivered("the host name stands for no address")
        return [_checked_form(ip_address(text)) for text in found]

    async def _ask_system(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._look_ups, _look_up, host, port)

    async def _send_to_first_that_listens(
        self, request: OutwardRequest, target: Target, addresses: Sequence[Address]
    ) -> OutwardReply:
        reason = ""
        for address in addresses:
            try:
                return await self._exchange(_pinned(request, target, address, self._connect_timeout))
            except httpx.ConnectTimeout:
                reason = f"nothing answered within {self._connect_timeout:g} s"
            except httpx.ConnectError as error:
                reason = _reason(error)
            except (httpx.TransportError, OSError) as error:
                # Without its cause: what it quotes is not ours to show.
                raise NotDelivered(f"the connection broke: {_reason(error)}") from None
        raise NotDelivered(f"no connection: {reason}")

    async def _exchange(self, request: httpx.Request) -> OutwardReply:
        # A connection belongs to the name that its certificate was checked for. The next name may stand for the same address,
        # by which a pool would know it; so each exchange has a transport of its own.
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                return OutwardReply(response.status_code, await _read_limited(response))
            finally:
                await response.aclose()


def _parsed(url: str) -> httpx.URL:
    """The URL as it will be requested, so that nothing is read in two ways."""
    if len(url) > MAX_URL_LENGTH or not url.isprintable():
        raise ForbiddenAddress(f"a URL must be of at most {MAX_URL_LENGTH} printable characters")
    with suppress(httpx.InvalidURL, ValueError):
        return httpx.URL(url)
    raise ForbiddenAddress("the address is not a URL")


def _host_of(url: httpx.URL) -> str:
    """The host in ASCII and lower case, addresses in their usual form. Raises ForbiddenAddress."""
    host = url.raw_host.decode("ascii").removesuffix(".")
    if (address := _as_address(host)) is not None:
        return str(address)
    if not _NAME.fullmatch(host) or _NUMBER_AT_THE_END.fullmatch(host):
        raise ForbiddenAddress("the URL's host is neither a name nor an address in its usual form")
    return host


def _as_address(host: str) -> Address | None:
    try:
        return _checked_form(ip_address(host))
    except ValueError:
        return None


def _checked_form(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ForbiddenAddress("addresses of a single network interface are not called")
    return unmapped(address)


def _require_outside(addresses: Iterable[Address], target: Target, allowed: AllowList) -> None:
    """One address that is not allowed is enough: a name that stands for two kinds of addresses is made to deceive."""
    if not target.is_exempt and not all(allowed.holds(address) or is_public(address) for address in addresses):
        raise ForbiddenAddress("the URL leads into a private or reserved network, which the administrator would have to allow")


def _usable_patterns(patterns: Iterable[str]) -> list[str]:
    usable = []
    for pattern in patterns:
        with suppress(ValueError):
            usable.append(read_host_pattern(pattern))
    return usable


def _is_one_of(host: str, patterns: Iterable[str]) -> bool:
    return any(host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern for pattern in patterns)


def _look_up(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _pinned(request: OutwardRequest, target: Target, address: Address, connect_timeout: float) -> httpx.Request:
    """The request to `address`, with the name where the other side looks for it."""
    headers = httpx.Headers([("Host", target.authority), ("User-Agent", "Meetingpool")])
    headers.update(httpx.Headers(request.headers))
    headers.update({"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"})
    return httpx.Request(
        request.method,
        target.url.copy_with(host=str(address)),
        headers=headers,
        content=request.body,
        extensions={
            "sni_hostname": target.host,
            "timeout": {"connect": connect_timeout, "read": None, "write": None, "pool": None},
        },
    )


async def _read_limited(response: httpx.Response) -> bytes:
    """The first 64 kB, as they came: what is compressed stays compressed."""
    body = bytearray()
    async for chunk in response.aiter_raw():
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
