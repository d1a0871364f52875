"""How much room there is now, in all and by region. Called by `/metrics`, the management API and the dashboard."""

from dataclasses import asdict
from typing import TypedDict, cast

from meetingpool.database.capacity import CapacityFigures
from meetingpool.domain.capacity import Capacity, CapacityRules, capacity_now
from meetingpool.domain.servers import AdminState
from meetingpool.settings import Settings


class CapacityFields(TypedDict):
    """What there is to know of the pool as of each region."""

    people: int
    foreseen_people: int
    meetings: int
    largest_meeting: int
    capacity: int
    headroom: int
    largest_fitting: int
    server_capacity: int
    open_servers: int
    advised_servers: int


class RegionCapacity(CapacityFields):
    """As of the pool, of the servers of one region; `region` is null for those without one."""

    region: str | None


class PoolCapacity(CapacityFields):
    """How much room there is, in people. `capacity`: what open servers are to carry; `headroom`: for how many more there is room.

    `foreseen_people`: the most of the last and the coming half hour. `advised_servers`: how many there ought to be for them, the
    `reserve` included. `largest_fitting`: the largest meeting for which a server has room. `server_capacity`: what one more
    server would carry. `regions`: the same by region, if servers have any.
    """

    reserve: int
    regions: list[RegionCapacity]


def capacity_rules(settings: Settings) -> CapacityRules:
    return CapacityRules(
        soft_users=settings.server_soft_users, max_users=settings.server_max_users, reserve=settings.capacity_reserve
    )


def pool_capacity(figures: CapacityFigures, rules: CapacityRules) -> Capacity:
    sizes = [size for of_server in figures.sizes.values() for size in of_server]
    return capacity_now(figures.servers, sizes, figures.pool_most, rules, upcoming=sum(figures.upcoming.values()))


def region_capacities(figures: CapacityFigures, rules: CapacityRules) -> dict[str | None, Capacity]:
    """By region of servers that are in use, those without one last; nothing, where no server has one."""
    regions = {server.region for server in figures.servers if server.admin_state is not AdminState.DISABLED}
    return {region: _in_region(region, figures, rules) for region in _ordered(regions)} if regions != {None} else {}


def capacity_record(figures: CapacityFigures, rules: CapacityRules) -> PoolCapacity:
    regions = region_capacities(figures, rules)
    return PoolCapacity(
        **_fields(pool_capacity(figures, rules)),
        reserve=rules.reserve,
        regions=[RegionCapacity(**_fields(capacity), region=region) for region, capacity in regions.items()],
    )


def _in_region(region: str | None, figures: CapacityFigures, rules: CapacityRules) -> Capacity:
    servers = [server for server in figures.servers if server.region == region]
    sizes = [size for server in servers for size in figures.sizes.get(server.id, ())]
    return capacity_now(servers, sizes, figures.most.get(region, 0), rules, upcoming=figures.upcoming.get(region, 0.0))


def _ordered(regions: set[str | None]) -> list[str | None]:
    return [*sorted(region for region in regions if region is not None), *({None} & regions)]


def _fields(capacity: Capacity) -> CapacityFields:
    return cast(CapacityFields, asdict(capacity))
