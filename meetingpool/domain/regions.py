"""Regions: how far they are from each other, and which of them a network or a code stands for.

The tables are written in the settings. The gateway asks them for each create, `doctor` compares them with the servers.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf, isfinite

from meetingpool.domain.addresses import Address, unmapped
from meetingpool.domain.refusals import Invalid

Network = IPv4Network | IPv6Network

# Any other code than those that are named.
OTHERS = "*"

# Without what stands between names in the settings.
_NAME = re.compile(r"[^\s,:=*]{1,100}")
_NAMED_SO = "a region's name has up to 100 characters and no spaces, commas, colons, equals signs or asterisks"


class InvalidRegion(Invalid):
    """A name that no region can have."""


def checked_region(name: str) -> str | None:
    """The name as it is kept; None for an empty one. Raises InvalidRegion."""
    wanted = name.strip()
    if wanted and not _NAME.fullmatch(wanted):
        raise InvalidRegion(f"{name!r} cannot be a region: {_NAMED_SO}")
    return wanted or None


class Distances:
    """How far regions are from each other, in milliseconds. The way back is as far, where nothing else is said of it."""

    def __init__(self, given: Mapping[tuple[str, str], float]) -> None:
        self._far = {(there, here): far for (here, there), far in given.items()} | dict(given)
        self.regions = frozenset(name for pair in given for name in pair)

    @classmethod
    def read(cls, entries: Iterable[str]) -> "Distances":
        """`entries` like eu:us=90. Raises ValueError with a sentence."""
        given: dict[tuple[str, str], float] = {}
        for entry in entries:
            names, far = _assigned(entry, "eu:us=90")
            here, _, there = map(str.strip, names.partition(":"))
            if not there or here == there:
                raise ValueError(f"{entry!r} does not name two regions; write eu:us=90")
            pair = (_region(here, entry), _region(there, entry))
            _require_new(pair, given, entry)
            given[pair] = _milliseconds(far, entry)
        return cls(given)

    def between(self, here: str, there: str) -> float | None:
        return self._far.get((here, there))

    def order_from(self, region: str, others: Iterable[str]) -> tuple[str, ...]:
        """The region itself, then the `others` and those of the table: as far as it is known the nearest first, then by name."""
        rest = {*others, *self.regions} - {region}
        return (region, *sorted(rest, key=lambda other: (self._far.get((region, other), inf), other)))


class NetworkRegions:
    """The regions of networks. Of those that an address is in, the smallest counts."""

    def __init__(self, given: Mapping[Network, str]) -> None:
        # By the length of their prefixes, since one look for each length finds what is there.
        sizes: dict[int, dict[int, dict[int, str]]] = {4: {}, 6: {}}
        for network, region in given.items():
            sizes[network.version].setdefault(network.prefixlen, {})[int(network.network_address)] = region
        self._smallest_first = {version: sorted(found.items(), reverse=True) for version, found in sizes.items()}
        self.regions = frozenset(given.values())

    @classmethod
    def read(cls, entries: Iterable[str]) -> "NetworkRegions":
        """`entries` like 10.1.0.0/16=eu or 2001:db8::/32=us. Raises ValueError with a sentence."""
        given: dict[Network, str] = {}
        for entry in entries:
            text, region = _assigned(entry, "10.1.0.0/16=eu")
            try:
                network = ip_network(text)
            except ValueError as error:
                raise ValueError(f"{entry!r} does not begin with a network like 10.1.0.0/16: {error}") from None
            _require_new(network, given, entry)
            given[network] = _region(region, entry)
        return cls(given)

    def region_of(self, address: Address) -> str | None:
        address = unmapped(address)
        for length, regions in self._smallest_first[address.version]:
            beyond = address.max_prefixlen - length
            if region := regions.get(int(address) >> beyond << beyond):
                return region
        return None


class RegionNames:
    """What codes, of countries for example, stand for, in any case of letters. `*` stands for whatever is not named."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.regions = frozenset(given.values())

    @classmethod
    def read(cls, entries: Iterable[str]) -> "RegionNames":
        """`entries` like DE=eu or *=us. Raises ValueError with a sentence."""
        given: dict[str, str] = {}
        for entry in entries:
            code, region = _assigned(entry, "DE=eu")
            _require_new(code.upper(), given, entry)
            given[code.upper()] = _region(region, entry)
        return cls(given)

    def region_of(self, code: str | None, known: Collection[str]) -> str | None:
        """The region that the code stands for; or the code itself, if it is one of the `known` regions."""
        if code and (region := self._given.get(code.upper())):
            return region
        return code if code in known else self._given.get(OTHERS)


def _assigned(entry: str, example: str) -> tuple[str, str]:
    name, _, value = map(str.strip, entry.partition("="))
    if not (name and value):
        raise ValueError(f"{entry!r} is not written like {example}; several are separated by commas")
    return name, value


def _region(text: str, entry: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{entry!r} names no region: {_NAMED_SO}")
    return text


def _milliseconds(text: str, entry: str) -> float:
    try:
        far = float(text)
    except ValueError:
        far = -1.0
    if not (isfinite(far) and far >= 0):
        raise ValueError(f"{entry!r} does not end with a number of milliseconds, from 0")
    return far


def _require_new(key: object, given: Collection[object], entry: str) -> None:
    if key in given:
        raise ValueError(f"{entry!r} is about what an entry before it is about; take one of the two out")
