"""The order of regions holds each of them once, begins where one is, and follows what is known of distances."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.regions import Distances, NetworkRegions

NAMES = ["eu", "us", "asia", "africa", "north"]
regions = st.sampled_from(NAMES)
tables = st.dictionaries(
    st.tuples(regions, regions).filter(lambda pair: pair[0] != pair[1]), st.integers(0, 300).map(float), max_size=12
)


@given(table=tables, here=regions, others=st.frozensets(regions))
def test_order_begins_here_holds_all_once_and_goes_away(
    table: dict[tuple[str, str], float], here: str, others: frozenset[str]
) -> None:
    order = Distances.read(f"{one}:{other}={far}" for (one, other), far in table.items()).order_from(here, others)

    assert order[0] == here
    assert sorted(order) == sorted({here, *others, *(name for pair in table for name in pair)})
    far = {other: table.get((here, other), table.get((other, here), inf)) for other in order[1:]}
    assert all((far[nearer], nearer) < (far[farther], farther) for nearer, farther in pairwise(order[1:]))


addresses = st.ip_addresses(network="10.0.0.0/24") | st.ip_addresses(network="2001:db8::/120")


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network | IPv6Network:
    address = draw(addresses)
    return ip_network((address, address.max_prefixlen - draw(st.integers(0, 9))), strict=False)


@given(table=st.dictionaries(networks(), regions, max_size=12), address=addresses.map(str).map(ip_address))
def test_region_of_an_address_is_that_of_the_longest_prefix(table: dict[IPv4Network | IPv6Network, str], address: object) -> None:
    holding = [network for network in table if address in network]
    expected = table[max(holding, key=lambda network: network.prefixlen)] if holding else None
    found = NetworkRegions.read(f"{network}={region}" for network, region in table.items())

    assert found.region_of(address) == expected  # type: ignore[arg-type]
