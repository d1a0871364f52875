"""Which addresses of the Internet Protocol are out in the world, and which lead into somebody's own network.

`meetingpool.outward` asks before it connects to an address that somebody else chose. Source: the special-purpose address
registries of IANA. What is not known to be public is not: IPv6 outside of what is given out to networks, and the old tunnels
(6to4, Teredo, local NAT64), in which any IPv4 address can hide.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_IPV4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # looks public, is the platform of Azure
        "169.254.0.0/16",  # link-local, and where clouds keep the metadata of their machines
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GIVEN_OUT_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def unmapped(address: Address) -> Address:
    """The IPv4 address in `::ffff:…`, which is what a connection to it would reach; any other address as it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_public(address: Address) -> bool:
    """Whether `address` is one of the Internet. Through NAT64 it is when the IPv4 address behind it is."""
    address = unmapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GIVEN_OUT_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)
