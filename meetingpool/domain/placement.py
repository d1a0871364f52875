"""Which server gets a new meeting: the one with the least load among those that may have it and suit it best."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import NamedTuple

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.servers import Server, ServerId

UNTAGGED = "none"
_NONE: Mapping[ServerId, int] = MappingProxyType({})


class NoServerAvailable(Exception):
    """Could not find any available servers."""


class NoServerWithTag(NoServerAvailable):
    """There is no available server with the required tag."""


@dataclass(frozen=True, slots=True)
class TagRequest:
    """The tags a request asks for: a server with any of them; when `required`, no other will do.

    `within`: the tags of the servers that the tenant may use at all; None: any server.
    """

    tags: frozenset[str] = frozenset()
    required: bool = False
    within: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str | None, within: frozenset[str] | None = None) -> "TagRequest":
        """Reads `meta_server-tag`: tags separated by `;`, a trailing `!` for required, `none` for untagged servers."""
        value = (text or "").strip()
        required = value.endswith("!")
        tags = frozenset(filter(None, (tag.strip() for tag in value.removesuffix("!").split(";"))))
        return cls(tags, required and bool(tags), within)

    def accepts(self, server: Server) -> bool:
        return self.accepts_instead(server) if not self.tags else self._allows(server) and _has_any(server, self.tags)

    def accepts_instead(self, server: Server) -> bool:
        """Whether the server will do when no tag is asked for, or no server has it: an untagged one, or any of the tenant's."""
        return not server.tags if self.within is None else self._allows(server)

    def tag_of(self, server: Server) -> str | None:
        """The tag of the server that the request was about, else its first; None for an untagged server."""
        return min(self.tags & server.tags or server.tags, default=None)

    def _allows(self, server: Server) -> bool:
        return self.within is None or _has_any(server, self.within)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequest:
    """What a new meeting needs: room for the `users` expected in it, on a server that `tags` allow.

    `at_least`: for so many of them there must be room under a hard limit, since what is foreseen may be wrong, and must not turn
    a meeting away; a server without room for all counts as one beyond its soft limit. None: for all of them. `regions`: from the
    nearest to the farthest; servers of others come last, and without any all are as near. `key`: what is kept for this meeting is
    its own.
    """

    key: MeetingKey | None = None
    tags: TagRequest = field(default_factory=TagRequest)
    users: float = 0.0
    at_least: float | None = None
    regions: tuple[str, ...] = ()

    @property
    def needs(self) -> float:
        """People for whom there must be room."""
        return self.users if self.at_least is None else min(self.users, self.at_least)


class Standing(NamedTuple):
    """How well a server meets a request, whatever it carries: the least is the best."""

    lacks_tag: bool
    is_beyond_soft_limit: bool
    region: int


class Obstacle(StrEnum):
    """Why a server may not have a meeting at all. `avoided`: it has just refused one, or was found full."""

    AVOIDED = "avoided"
    TAGS = "tags"
    USERS = "users"
    MEETINGS = "meetings"


class PoolSize(NamedTuple):
    """How many servers take new meetings, and how many there are."""

    open_servers: int
    servers: int


_BEST = Standing(False, False, 0)
_WORST = Standing(True, True, 2**31)
# So many of the servers that were looked at are remembered with the choice.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server as it was looked at. `load` is what it carries and its handicap, `kept` the load for which room is kept on it."""

    server: Server
    load: float
    kept: float
    standing: Standing | Obstacle

    @property
    def compared(self) -> float:
        """By which it is compared with others."""
        return self.load + self.kept


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen server.

    `ceiling` is the load up to which it remains the right choice, `limit` the load up to which it may have the meeting at all.
    `looked_at`: the first of those that were looked at, the chosen one included; `looked`: how many these were.
    """

    server: Server
    ceiling: float
    limit: float = inf
    looked_at: tuple[Candidate, ...] = ()
    looked: int = 0


def choose_server(
    ranking: Iterable[tuple[Server, float]],
    request: PlacementRequest,
    *,
    avoid: Collection[ServerId] = (),
    meetings: Mapping[ServerId, int] = _NONE,
    kept: Callable[[ServerId], float] | None = None,
) -> Choice:
    """Of those that meet the `request` best, the one that carries least. What is ranked by which load: ranking.py.

    Servers in `avoid` and full ones are not considered. A tag that is asked for but not required falls back to untagged servers,
    or to those of the tenant; so do soft limits to servers beyond them, and regions to farther ones, in this order. `meetings`:
    how many each server carries; `kept`: the load for which room is kept on each. Raises NoServerWithTag or NoServerAvailable.
    """
    best: Candidate | None = None
    best_rank = (_WORST, inf)
    next_load = inf
    looked_at: list[Candidate] = []
    looked = 0
    for server, load in ranking:
        if best_rank[0] == _BEST and load >= next_load:
            break
        looked += 1
        beside = kept(server.id) if kept else 0.0
        if best_rank[0] == _BEST and load + beside >= next_load and len(looked_at) == _SHOWN:
            continue
        is_avoided, carried = server.id in avoid, meetings.get(server.id, 0)
        standing = Obstacle.AVOIDED if is_avoided else standing_of(server, load - server.handicap, carried, request)
        if len(looked_at) < _SHOWN:
            looked_at.append(Candidate(server, load, beside, standing))
        if isinstance(standing, Obstacle):
            continue
        rank = (standing, load + beside)
        if rank < best_rank:
            next_load = best_rank[1] if standing == best_rank[0] else inf
            best, best_rank = Candidate(server, load, beside, standing), rank
        elif standing == best_rank[0]:
            next_load = min(next_load, rank[1])
    if best is None:
        raise NoServerWithTag if request.tags.required else NoServerAvailable
    if best not in looked_at:
        looked_at.append(best)
    ceiling, limit = _ceiling_and_limit(best, best_rank[0], next_load, request)
    return Choice(best.server, ceiling, limit, tuple(looked_at), looked)


def _ceiling_and_limit(best: Candidate, standing: Standing, next_load: float, request: PlacementRequest) -> tuple[float, float]:
    """Of the chosen server: the loads up to which it remains the right one, and may have the meeting at all."""
    server, is_beyond = best.server, standing.is_beyond_soft_limit
    limit = _load_below(server, server.max_users, request.needs)
    comfortable = (
        inf if is_beyond else min(_load_below(server, most, request.users) for most in (server.soft_users, server.max_users))
    )
    return min(_least_ceiling(next_load, server.handicap + best.kept), comfortable, limit), limit


def standing_of(server: Server, load: float, meetings: int, request: PlacementRequest) -> Standing | Obstacle:
    """How the server meets the request, if it carries `load` and so many meetings; or why it may not have the meeting."""
    lacks_tag = not request.tags.accepts(server)
    if lacks_tag and (request.tags.required or not request.tags.accepts_instead(server)):
        return Obstacle.TAGS
    # A choice may have to look at all servers: what does not apply is not reckoned.
    carried = load / server.load_multiplier
    if server.max_users is not None and carried + request.needs > server.max_users:
        return Obstacle.USERS
    if server.max_meetings is not None and meetings >= server.max_meetings:
        return Obstacle.MEETINGS
    is_beyond = (
        (server.soft_users is not None and carried + request.users > server.soft_users)
        or (server.max_users is not None and carried + request.users > server.max_users)
        or (server.soft_meetings is not None and meetings >= server.soft_meetings)
    )
    return Standing(lacks_tag, is_beyond, _distance(server.region, request.regions) if request.regions else 0)


def _least_ceiling(next_load: float, beside: float) -> float:
    """What the chosen server may carry while the next best is not better; it is compared by that and what is `beside` it."""
    # A sum of loads, and its difference again, may differ from the load by what floats cannot hold.
    return next_load - beside + 1e-6 if beside else next_load


def _distance(region: str | None, regions: tuple[str, ...]) -> int:
    return regions.index(region) if region in regions else len(regions)


def _load_below(server: Server, limit: int | None, users: float) -> float:
    """The load at which the server still has room for so many people under a limit."""
    return inf if limit is None else (limit - users) * server.load_multiplier


def _has_any(server: Server, tags: frozenset[str]) -> bool:
    return bool(tags & server.tags) or (UNTAGGED in tags and not server.tags)
