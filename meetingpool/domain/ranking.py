"""The servers that take new meetings, in the order of their loads: a choice looks at a few of them, however many there are."""

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from meetingpool.domain.servers import Server, ServerId


class Ranking:
    """Iterating gives each server with its load, the least loaded first. Among equals `rng` draws the order at each change."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._order: list[tuple[float, float, ServerId]] = []
        self._places: dict[ServerId, tuple[float, float, ServerId]] = {}
        self._servers: dict[ServerId, Server] = {}

    def __iter__(self) -> Iterator[tuple[Server, float]]:
        return ((self._servers[server_id], load) for load, _, server_id in self._order)

    def __len__(self) -> int:
        return len(self._order)

    def put(self, server: Server, load: float) -> None:
        """The server as it is now, with the load by which it is compared; one that takes no new meetings is left out."""
        self.drop(server.id)
        if server.takes_new_meetings:
            self._servers[server.id] = server
            self._insert(load, self._rng.random(), server.id)
            first, last = bisect_left(self._order, (load,)), bisect_right(self._order, (load, 2.0))
            # What was drawn for the others says which of them were first so far: their order is drawn with the new one's.
            other = self._order[self._rng.randrange(first, last)]
            mine = self._places[server.id]
            if other != mine:
                for place in (mine, other):
                    del self._order[bisect_left(self._order, place)]
                self._insert(load, other[1], server.id)
                self._insert(load, mine[1], other[2])

    def _insert(self, load: float, drawn: float, server_id: ServerId) -> None:
        self._places[server_id] = place = (load, drawn, server_id)
        insort(self._order, place)

    def drop(self, server_id: ServerId) -> None:
        place = self._places.pop(server_id, None)
        if place is not None:
            del self._order[bisect_left(self._order, place)]
            del self._servers[server_id]
