"""Which URLs may be called, as far as can be said without a look-up, and which addresses, when they were looked up.

Called by `client.py` for each request, and by whoever takes a URL in.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self

from meetingpool.domain.addresses import Address, is_public
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.urls import Url, address_in, read_host, read_url

_WEB_PORTS = frozenset({80, 443})
_FIRST_UNPRIVILEGED_PORT = 1024


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

    def holds(self, host: str, address: Address) -> bool:
        """Whether `address` may be called for `host`, although it is not public."""
        return _is_one_of(host, self.hosts) or any(address in network for network in self.networks)


NOTHING_ALLOWED = AllowList()
EVERYTHING_ALLOWED = AllowList((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))


def require_allowed(text: str, allowed: AllowList = NOTHING_ALLOWED, only_hosts: Collection[str] | None = None) -> Url:
    """What the URL `text` leads to, without a look-up. Raises ForbiddenAddress when it will never be called."""
    url = read_url(text)
    if url.port not in _WEB_PORTS and not _FIRST_UNPRIVILEGED_PORT <= url.port <= 65535:
        raise ForbiddenAddress("only the ports 80, 443 and those from 1024 are called")
    if only_hosts is not None and not _is_one_of(url.host, _usable_patterns(only_hosts)):
        raise ForbiddenAddress("the URL's host is not among those that may be called")
    if url.address is not None:
        require_outside(url.host, [url.address], allowed)
    return url


def require_outside(host: str, addresses: Iterable[Address], allowed: AllowList) -> None:
    """Raises ForbiddenAddress unless every address that `host` stands for may be called.

    One that is not allowed is enough: a name that stands for two kinds of addresses is made to deceive.
    """
    if not all(is_public(address) or allowed.holds(host, address) for address in addresses):
        raise ForbiddenAddress("the URL leads into a private or reserved network, which the administrator would have to allow")


def read_host_pattern(text: str) -> str:
    """A host name or `*.` and a host name, as hosts are compared. Raises ValueError with a sentence."""
    wanted = text.strip()
    star = "*." if wanted.startswith("*.") else ""
    with suppress(ForbiddenAddress):
        host = read_host(wanted.removeprefix(star))
        if not star or address_in(host) is None:
            return star + host
    raise ValueError(f"{text!r} is not a host name like lms.example.org or *.example.org")


def _usable_patterns(patterns: Iterable[str]) -> list[str]:
    usable = []
    for pattern in patterns:
        with suppress(ValueError):
            usable.append(read_host_pattern(pattern))
    return usable


def _is_one_of(host: str, patterns: Iterable[str]) -> bool:
    return any(host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern for pattern in patterns)
