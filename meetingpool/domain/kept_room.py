"""Room that is kept on servers for meetings that usually begin in the coming minutes.

A large meeting that comes when small ones have filled all servers evenly makes one of them far too full. So it is laid out before
it comes, on the server that would have it now, and smaller ones are compared as if it were there already. Larger ones are not:
they were laid out before it. Called by Pool.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.timetable import Upcoming

# A meeting is laid out among servers like the one that its room had last: of the same tags, region and size.
Kind = tuple[frozenset[str], str | None, int | None]


@dataclass(slots=True)
class _Laid:
    """What is laid on a server, the largest first: its keys, its sizes, negative so that they grow, and sums of its loads."""

    keys: list[MeetingKey] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0])

    def add(self, key: MeetingKey, users: float, load: float) -> None:
        self.keys.append(key)
        self.sizes.append(-users)
        self.sums.append(self.sums[-1] + load)

    def load_of(self, place: int) -> float:
        return self.sums[place + 1] - self.sums[place]

    def without(self, key: MeetingKey) -> "_Laid":
        rest = _Laid()
        for place, other in enumerate(self.keys):
            if other != key:
                rest.add(other, -self.sizes[place], self.load_of(place))
        return rest


class KeptRoom:
    """`plan` lays out what is `upcoming`, `beside` is asked at each choice."""

    def __init__(self) -> None:
        self.upcoming: dict[MeetingKey, Upcoming] = {}
        self._laid_on: dict[MeetingKey, ServerId] = {}
        self._laid: dict[ServerId, _Laid] = {}

    def __bool__(self) -> bool:
        return bool(self._laid_on)

    def expect(self, upcoming: Iterable[Upcoming]) -> None:
        """What is upcoming from now on, the largest first. Room is kept for it after the next `plan`."""
        self.upcoming = {each.key: each for each in upcoming}

    def began(self, key: MeetingKey) -> None:
        """The meeting has its server."""
        self.upcoming.pop(key, None)
        if server_id := self._laid_on.pop(key, None):
            self._laid[server_id] = self._laid[server_id].without(key)

    def plan(self, ranking: Sequence[tuple[Server, float]]) -> None:
        """Lays out all that is upcoming, the largest first, each on the server that carries least then.

        `ranking`: the servers that take new meetings, with their loads.
        """
        self._laid_on, self._laid = {}, {}
        if not self.upcoming or not ranking:
            return
        multipliers = {server.id: server.load_multiplier for server, _ in ranking}
        by_kind = _by_kind(ranking)
        usual = by_kind[_usual(by_kind)]
        heaps = {server.id: by_kind[_kind(server)] for server, _ in ranking}
        for each in self.upcoming.values():
            heap = heaps.get(ServerId(each.server_id), usual)
            load, server_id = heap[0]
            adds = each.users * each.chance * multipliers[server_id]
            heapreplace(heap, (load + adds, server_id))
            self._laid_on[each.key] = server_id
            if server_id not in self._laid:
                self._laid[server_id] = _Laid()
            self._laid[server_id].add(each.key, each.users, adds)

    def beside(self, users: float, key: MeetingKey | None = None) -> Callable[[ServerId], float]:
        """The load for which room is kept on a server, as a meeting of so many `users` has to leave it: for larger ones.

        What is kept for the meeting `key` itself is in nobody's way.
        """
        all_laid, own_server, own_load = self._laid, *self._own(users, key)

        def kept_on(server_id: ServerId) -> float:
            laid = all_laid.get(server_id)
            if laid is None:
                return 0.0
            load = laid.sums[bisect_left(laid.sizes, -users)]
            return max(0.0, load - own_load) if server_id == own_server else load

        return kept_on

    def _own(self, users: float, key: MeetingKey | None) -> tuple[ServerId | None, float]:
        """On which server room is kept for the meeting itself, and what of that counts as larger than `users`."""
        server_id = self._laid_on.get(key) if key else None
        if key is None or server_id is None:
            return None, 0.0
        place = self._laid[server_id].keys.index(key)
        return server_id, self._laid[server_id].load_of(place) if -self._laid[server_id].sizes[place] > users else 0.0


def _by_kind(ranking: Sequence[tuple[Server, float]]) -> dict[Kind, list[tuple[float, ServerId]]]:
    """Heaps of the servers of each kind, by their loads."""
    by_kind: dict[Kind, list[tuple[float, ServerId]]] = {}
    for server, load in ranking:
        by_kind.setdefault(_kind(server), []).append((load, server.id))
    for heap in by_kind.values():
        heapify(heap)
    return by_kind


def _usual(by_kind: Mapping[Kind, Sequence[object]]) -> Kind:
    """The kind of most untagged servers, or of most servers when all are tagged."""
    return max(by_kind, key=lambda kind: (not kind[0], len(by_kind[kind])))


def _kind(server: Server) -> Kind:
    return server.tags, server.region, server.max_users
