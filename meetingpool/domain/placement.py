"""Which server gets a new meeting: the one with the least load among those that may have it."""

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


def choose_server(ranking: Iterable[tuple[Server, float]], request: TagRequest, *, avoid: Collection[ServerId] = ()) -> Choice:
    """The first of the `ranking` that may have a new meeting as `request` says. What is ranked by which load: ranking.py.

    Servers in `avoid` are not considered. A tag that is asked for but not required falls back to untagged servers, or to those
    of the tenant. Raises NoServerWithTag or NoServerAvailable.
    """
    choice = _first(ranking, request.accepts, avoid)
    if choice is None and request.required:
        raise NoServerWithTag
    choice = choice or _first(ranking, request.accepts_instead, avoid)
    if choice is None:
        raise NoServerAvailable
    return choice


def _first(
    ranking: Iterable[tuple[Server, float]], accepts: Callable[[Server], bool], avoid: Collection[ServerId]
) -> Choice | None:
    candidates = ((server, load) for server, load in ranking if server.id not in avoid and accepts(server))
    for server, _ in candidates:
        return Choice(server, next((load for _, load in candidates), float("inf")))
    return None


def _has_any(server: Server, tags: frozenset[str]) -> bool:
    return bool(tags & server.tags) or (UNTAGGED in tags and not server.tags)
