"""From where the management APIs and the dashboard may be used. Asked before anything else of a request is looked at."""

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network

_EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})


class ClientNetworks:
    """Those of the setting `management_networks`; none for nobody. Raises ValueError for what is no network."""

    def __init__(self, networks: Collection[str]) -> None:
        self._is_everywhere = set(networks) >= _EVERYWHERE
        self._networks = tuple(map(ip_network, networks))

    def admit(self, host: str | None) -> bool:
        """Whether a client at the address `host` may come in."""
        if self._is_everywhere:
            return True
        try:
            address = ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
