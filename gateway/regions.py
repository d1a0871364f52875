"""In which region a new meeting is best. Asked by create, before a server is chosen.

Of all that says so the first counts that names a region: the create itself (`meta_region`), its tenant, a proxy, the network of
the client. A region that neither the servers nor the settings know is none.
"""

import asyncio
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from starlette.requests import Request

from gateway.authentication import Call
from gateway.region_header import said_by_proxy
from meetingpool.country_files import CountryFile
from meetingpool.domain.addresses import Address
from meetingpool.domain.parameters import Rule, first_filled
from meetingpool.domain.pool import Pool
from meetingpool.domain.regions import Distances, NetworkRegions, RegionNames
from meetingpool.settings import Settings

REGION = "meta_region"
# Seconds between two looks at the file of countries.
FILE_INTERVAL = 60.0


class Regions:
    """The regions as one process sees them."""

    def __init__(self, settings: Settings, pool: Pool, countries: CountryFile | None) -> None:
        self._pool = pool
        self._countries = countries
        self._distances = Distances.read(settings.region_latency)
        self._networks = NetworkRegions.read(settings.region_networks)
        self._names = RegionNames.read(settings.region_names)
        self._known: frozenset[str] = frozenset()
        self._of_servers: frozenset[str] = frozenset()
        self._orders: dict[str, tuple[str, ...]] = {}

    async def follow_file(self) -> None:
        """Takes the file of countries anew when it was replaced, as long as the process runs; without a file it returns."""
        while self._countries:
            await asyncio.sleep(FILE_INTERVAL)
            await asyncio.to_thread(self._countries.refresh)

    def of(self, call: Call, rules: Sequence[Rule]) -> tuple[str, ...]:
        """The regions, the nearest first, for the meeting that `call` creates under the `rules`; none where nothing is known."""
        if not self._pool.regions:
            return ()
        self._follow_servers()
        region = next((name for name in self._named(call, rules) if name in self._known), None)
        return () if region is None else self._order_from(region)

    def _named(self, call: Call, rules: Sequence[Rule]) -> Iterator[str | None]:
        """What says where the meeting is best, one after the other; of what is not needed nothing is looked up."""
        yield (first_filled(rules, call.parameters, REGION) or "").strip()
        yield call.tenant.region
        if said := said_by_proxy(call.request.scope):
            yield self._names.region_of(said, self._known)
        if address := _address_of(call.request):
            yield self._networks.region_of(address)
            if self._countries:
                yield self._names.region_of(self._countries.code_of(address), self._known)

    def _follow_servers(self) -> None:
        if self._of_servers is not self._pool.regions:
            self._of_servers = self._pool.regions
            self._known = self._of_servers | self._distances.regions
            self._orders.clear()

    def _order_from(self, region: str) -> tuple[str, ...]:
        if region not in self._orders:
            self._orders[region] = self._distances.order_from(region, self._of_servers)
        return self._orders[region]


def _address_of(request: Request) -> Address | None:
    try:
        return ip_address(request.client.host) if request.client else None
    except ValueError:
        # A socket of the file system has none.
        return None
