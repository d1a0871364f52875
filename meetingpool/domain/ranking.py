"""The servers that take new meetings, in the order of their loads: a choice looks at a few of them, however many there are."""

import random
from bisect import bisect_left, insort
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

    def put(self, server: Server, load: float) -> None:
        """The server as it is now, with the load by which it is compared; one that takes no new meetings is left out."""
        self.drop(server.id)
        if server.takes_new_meetings:
            place = (load, self._rng.random(), server.id)
            insort(self._order, place)
            self._places[server.id] = place
            self._servers[server.id] = server

    def drop(self, server_id: ServerId) -> None:
        place = self._places.pop(server_id, None)
        if place is not None:
            del self._order[bisect_left(self._order, place)]
            del self._servers[server_id]
