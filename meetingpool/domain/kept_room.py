"""Room that is kept on servers for meetings that usually begin in the coming minutes.

A large meeting that comes when small ones have filled all servers evenly makes one of them far too full. So it is laid out before
it comes, on the server that would have it now, and smaller ones are compared as if it were there already. Larger ones are not:
they were laid out before it. Called by Pool.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heapreplace

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.timetable import Upcoming

# A meeting is laid out among servers like the one that its room had last: of the same tags and region.
Kind = tuple[frozenset[str], str | None]
_PLAIN: Kind = (frozenset(), None)


class KeptRoom:
    """`plan` lays out what is `upcoming`, `larger_than` is asked at each choice."""

    def __init__(self) -> None:
        self.upcoming: dict[MeetingKey, Upcoming] = {}
        self._laid_on: dict[MeetingKey, ServerId] = {}
        # Of each server the sizes and loads of what is laid on it, the largest first.
        self._laid: dict[ServerId, dict[MeetingKey, tuple[float, float]]] = {}

    def __bool__(self) -> bool:
        return bool(self._laid_on)

    def expect(self, upcoming: Iterable[Upcoming]) -> None:
        """What is upcoming from now on, the largest first. Room is kept for it after the next `plan`."""
        self.upcoming = {each.key: each for each in upcoming}

    def began(self, key: MeetingKey) -> None:
        """The meeting has its server."""
        self.upcoming.pop(key, None)
        if server_id := self._laid_on.pop(key, None):
            del self._laid[server_id][key]

    def plan(self, ranking: Sequence[tuple[Server, float]]) -> None:
        """Lays out all that is upcoming, the largest first, each on the server that carries least then.

        `ranking`: the servers that take new meetings, with their loads.
        """
        self._laid_on, self._laid = {}, {}
        if not self.upcoming or not ranking:
            return
        servers = {server.id: server for server, _ in ranking}
        by_kind: dict[Kind, list[tuple[float, ServerId]]] = {}
        for server, load in ranking:
            by_kind.setdefault(_kind(server), []).append((load, server.id))
        for heap in by_kind.values():
            heapify(heap)
        usual = by_kind.get(_PLAIN) or next(iter(by_kind.values()))
        for each in self.upcoming.values():
            last = servers.get(ServerId(each.server_id))
            heap = by_kind[_kind(last)] if last else usual
            load, server_id = heap[0]
            adds = each.users * each.chance * servers[server_id].load_multiplier
            heapreplace(heap, (load + adds, server_id))
            self._laid_on[each.key] = server_id
            self._laid.setdefault(server_id, {})[each.key] = (each.users, adds)

    def larger_than(self, users: float, server_id: ServerId) -> float:
        """The load for which room is kept on the server, as far as it is for meetings of more than `users` people."""
        return sum(load for size, load in self._laid.get(server_id, _NOTHING).values() if size > users)


_NOTHING: dict[MeetingKey, tuple[float, float]] = {}


def _kind(server: Server) -> Kind:
    return server.tags, server.region
