"""Which server gets a new meeting: the one with the least load among those that may have it and suit it best."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import NamedTuple

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

    `regions`: from the nearest to the farthest; servers of others come last, and without any all are as near.
    """

    tags: TagRequest = field(default_factory=TagRequest)
    users: float = 0.0
    regions: tuple[str, ...] = ()


class Standing(NamedTuple):
    """How well a server meets a request, whatever it carries: the least is the best."""

    lacks_tag: bool
    is_beyond_soft_limit: bool
    region: int


_BEST = Standing(False, False, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen server.

    `ceiling` is the load up to which it remains the right choice, `limit` the load up to which it may have the meeting at all.
    """

    server: Server
    ceiling: float
    limit: float = inf


def choose_server(
    ranking: Iterable[tuple[Server, float]],
    request: PlacementRequest,
    *,
    avoid: Collection[ServerId] = (),
    meetings: Mapping[ServerId, int] = _NONE,
) -> Choice:
    """The first of the `ranking` among those that meet the `request` best. What is ranked by which load: ranking.py.

    Servers in `avoid` and full ones are not considered. A tag that is asked for but not required falls back to untagged servers,
    or to those of the tenant; so do soft limits to servers beyond them, and regions to farther ones, in this order. `meetings`:
    how many each server carries. Raises NoServerWithTag or NoServerAvailable.
    """
    best: tuple[Standing, Server] | None = None
    next_load = inf
    for server, load in ranking:
        if server.id in avoid:
            continue
        standing = standing_of(server, load, meetings.get(server.id, 0), request)
        if standing is None:
            continue
        if best is None or standing < best[0]:
            best, next_load = (standing, server), inf
        elif standing == best[0] and next_load == inf:
            next_load = load
            if standing == _BEST:
                break
    if best is None:
        raise NoServerWithTag if request.tags.required else NoServerAvailable
    standing, server = best
    limit = _load_below(server, server.max_users, request)
    soft_limit = inf if standing.is_beyond_soft_limit else _load_below(server, server.soft_users, request)
    return Choice(server, min(next_load, soft_limit, limit), limit)


def standing_of(server: Server, load: float, meetings: int, request: PlacementRequest) -> Standing | None:
    """How the server meets the request, if it carries `load` and so many meetings; None when it may not have the meeting."""
    lacks_tag = not request.tags.accepts(server)
    if lacks_tag and (request.tags.required or not request.tags.accepts_instead(server)):
        return None
    users = load / server.load_multiplier + request.users
    if _exceeds(users, server.max_users) or _exceeds(meetings + 1, server.max_meetings):
        return None
    is_beyond = _exceeds(users, server.soft_users) or _exceeds(meetings + 1, server.soft_meetings)
    return Standing(lacks_tag, is_beyond, _distance(server.region, request.regions))


def _exceeds(number: float, limit: int | None) -> bool:
    return limit is not None and number > limit


def _distance(region: str | None, regions: tuple[str, ...]) -> int:
    return regions.index(region) if region in regions else len(regions)


def _load_below(server: Server, limit: int | None, request: PlacementRequest) -> float:
    """The load at which the server still has room for the request under a limit of users."""
    return inf if limit is None else (limit - request.users) * server.load_multiplier


def _has_any(server: Server, tags: frozenset[str]) -> bool:
    return bool(tags & server.tags) or (UNTAGGED in tags and not server.tags)
