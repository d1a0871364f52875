"""Policies that look at nothing."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from random import Random

from meetingpool.domain.meetings import MeetingKey


class Heedless:
    """What it is told changes nothing."""

    def joined(self, now: float, meeting: int) -> None:
        pass

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        pass


class RoundRobin(Heedless):
    """One server after the other."""

    def __init__(self, servers: int, rng: Random) -> None:
        self._turns = cycle(rng.sample(range(servers), servers))

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:  # noqa: ARG002
        return next(self._turns)


class Drawn(Heedless):
    """Any server."""

    def __init__(self, servers: int, rng: Random) -> None:
        self._servers, self._rng = servers, rng

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:  # noqa: ARG002
        return self._rng.randrange(self._servers)
