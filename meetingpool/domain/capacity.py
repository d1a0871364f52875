"""How much room there is now, and how many servers there ought to be: for those who watch, and for what adds and removes servers.

What is foreseen is a number of people, whoever foresees it. Advice goes by the most people of the last and the coming minutes, so
that it rises at once, and falls only when that was seen for a while.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from meetingpool.domain.packing import servers_for
from meetingpool.domain.servers import AdminState, Health, ServerId

# People that a server of the recommended size carries, where nobody has said otherwise.
USUAL_CAPACITY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """What there is to know of a server. `carried`: its people and those who are expected; the limits are its own."""

    id: ServerId
    region: str | None
    admin_state: AdminState
    health: Health
    soft_users: int | None
    max_users: int | None
    meetings: int
    people: int
    carried: float

    @property
    def is_open(self) -> bool:
        return self.admin_state is AdminState.ENABLED and self.health in (Health.ONLINE, Health.SUSPECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRules:
    """What servers without limits of their own carry, and how many servers may fail."""

    soft_users: int | None = None
    max_users: int | None = None
    reserve: int = 1

    def capacity_of(self, server: Carrier) -> int:
        """People that the server is to carry: up to its soft limit, or the hard one if that is less."""
        limit = self._limit_of(server)
        return USUAL_CAPACITY if limit is None else limit

    def usual_capacity(self, servers: Iterable[Carrier]) -> int:
        """People that one more server would carry: as the settings say, else as the one in the middle of `servers` does."""
        by_setting = [limit for limit in (self.soft_users, self.max_users) if limit]
        if by_setting:
            return min(by_setting)
        limits = sorted(limit for limit in map(self._limit_of, servers) if limit)
        return limits[(len(limits) - 1) // 2] if limits else USUAL_CAPACITY

    def _limit_of(self, server: Carrier) -> int | None:
        soft = self.soft_users if server.soft_users is None else server.soft_users
        most = self.max_users if server.max_users is None else server.max_users
        return min((limit for limit in (soft, most) if limit is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Of the servers of one region, or of all. `capacity` and `headroom`: people that open servers carry, and could have more.

    `foreseen_people`: the most of the last and the coming minutes; `largest_fitting`: the people of the largest meeting for which
    one server has room; `server_capacity`: what one more server would carry.
    """

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


def capacity_now(
    servers: Collection[Carrier], sizes: Sequence[int], foreseen: float, rules: CapacityRules, *, upcoming: float = 0.0
) -> Capacity:
    """`sizes`: the people in each meeting of the servers; `foreseen`: the most people that history foresees on them.

    `upcoming`: the people of meetings that are about to begin there, beside those who are there or expected already.
    """
    reached = [server for server in servers if server.health is not Health.DEAD]
    people = sum(server.people for server in reached)
    foreseen = max(foreseen, people, sum(server.carried for server in reached) + upcoming)
    opened = [server for server in reached if server.is_open]
    rooms = [max(0, int(rules.capacity_of(server) - server.carried)) for server in opened]
    usual = rules.usual_capacity(servers)
    return Capacity(
        people=people,
        foreseen_people=round(foreseen),
        meetings=sum(server.meetings for server in reached),
        largest_meeting=max(sizes, default=0),
        capacity=sum(map(rules.capacity_of, opened)),
        headroom=sum(rooms),
        largest_fitting=max(rooms, default=0),
        server_capacity=usual,
        open_servers=len(opened),
        advised_servers=max(1, servers_for(sizes, foreseen, usual) + rules.reserve),
    )
