"""Compares the regions that the settings and tenants name with those of the servers. Called by `meetingpool doctor`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from meetingpool.country_files import CountryFileUnusable, country_file
from meetingpool.domain.regions import Distances, NetworkRegions, RegionNames
from meetingpool.domain.servers import Server
from meetingpool.domain.tenants import Tenant
from meetingpool.operations.diagnosis import Area, Finding
from meetingpool.settings import Settings

_AREA = Area("regions")
_LATENCY = "MEETINGPOOL_REGION_LATENCY"
_NAMED_AT_MOST = 6
_GIVE_IT = "`meetingpool servers set ID --region R` says where a server is"


def diagnose_country_file(settings: Settings) -> Iterator[Finding]:
    """Whether the file of the settings can be used."""
    if settings.region_mmdb is None:
        return
    try:
        country_file(settings)
    except CountryFileUnusable as error:
        advice = "put it right or take the setting out, or no gateway starts; docs/regions.md says where such files come from"
        yield _AREA.problem("MEETINGPOOL_REGION_MMDB", str(error), advice)
    else:
        yield _AREA.fine("MEETINGPOOL_REGION_MMDB", f"{settings.region_mmdb} can be read")


def diagnose_regions(settings: Settings, servers: Sequence[Server], tenants: Iterable[Tenant]) -> Iterator[Finding]:
    """Names that nobody has, distances that nobody knows, servers that are nowhere. All of it works; some may be a slip."""
    distances, placed = Distances.read(settings.region_latency), {server.region for server in servers if server.region}
    wanted = {
        "MEETINGPOOL_REGION_NETWORKS": NetworkRegions.read(settings.region_networks).regions,
        "MEETINGPOOL_REGION_NAMES": RegionNames.read(settings.region_names).regions,
    } | {f"tenant {tenant.name}": frozenset({tenant.region}) for tenant in tenants if tenant.region}
    if not placed:
        for subject in (*([_LATENCY] if distances.regions else []), *(subject for subject, named in wanted.items() if named)):
            yield _AREA.note(subject, "no server has a region, so this counts for nothing", _GIVE_IT)
        return
    for subject, named in wanted.items():
        if unknown := named - placed - distances.regions:
            advice = f"correct the name; or {_GIVE_IT}; or let {_LATENCY} say which are near"
            yield _AREA.note(subject, f"no server is in {_listed(unknown)}, and how far others are is not known", advice)
    if empty := distances.regions - placed - frozenset().union(*wanted.values()):
        yield _AREA.note(_LATENCY, f"no server is in {_listed(empty)}", f"correct the name, or {_GIVE_IT}")
    yield from _of_distances(placed, distances)
    yield from _of_nowhere(servers)


def _of_distances(placed: set[str], distances: Distances) -> Iterator[Finding]:
    # Of two, the other is the nearest.
    if len(placed) < 3:
        return
    pairs = [f"{here}:{there}" for here, there in combinations(sorted(placed), 2) if distances.between(here, there) is None]
    if pairs:
        said = f"it does not say how far these are: {_listed(pairs)}; where it does not, the order of names decides"
        yield _AREA.note(_LATENCY, said, "add them, as eu:us=90; what `ping` between two servers says is good enough")


def _of_nowhere(servers: Sequence[Server]) -> Iterator[Finding]:
    if nowhere := [server.id for server in servers if not server.region]:
        said = f"{_listed(nowhere)} without a region, taken last when a meeting belongs to one"
        yield _AREA.note("servers", said, _GIVE_IT)


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = [f"{len(found) - _NAMED_AT_MOST} more"] if len(found) > _NAMED_AT_MOST else []
    return ", ".join(found[:_NAMED_AT_MOST] + more)
