"""Which server gets a new meeting: the one with the least load among those that may have it."""

import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from meetingpool.domain.servers import Server, ServerId

UNTAGGED = "none"


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


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen server. `ceiling` is the load up to which it remains the right choice: that of the next best."""

    server: Server
    ceiling: float


def choose_server(
    servers: Iterable[Server],
    request: TagRequest,
    *,
    load_of: Callable[[Server], float],
    avoid: Collection[ServerId] = (),
    rng: random.Random,
) -> Choice:
    """The least loaded server that may take a new meeting; ties are drawn by `rng`.

    Servers in `avoid` are not considered. A tag that is asked for but not required falls back to untagged servers, or to those
    of the tenant. Raises NoServerWithTag or NoServerAvailable.
    """
    open_servers = [server for server in servers if server.takes_new_meetings and server.id not in avoid]
    candidates = list(filter(request.accepts, open_servers))
    if not candidates and request.required:
        raise NoServerWithTag
    if not candidates:
        candidates = list(filter(request.accepts_instead, open_servers))
    if not candidates:
        raise NoServerAvailable
    return _least_loaded(candidates, load_of, rng)


def _has_any(server: Server, tags: frozenset[str]) -> bool:
    return bool(tags & server.tags) or (UNTAGGED in tags and not server.tags)


def _least_loaded(candidates: list[Server], load_of: Callable[[Server], float], rng: random.Random) -> Choice:
    loads = [load_of(server) for server in candidates]
    least = min(loads)
    chosen = rng.choice([index for index, load in enumerate(loads) if load == least])
    # What is left is the load of the others, which nobody needs in their order.
    loads[chosen] = loads[-1]
    loads.pop()
    return Choice(candidates[chosen], min(loads, default=float("inf")))
