"""Lets a trace happen on a pool whose meetings a policy places, and looks at the servers every half minute.

The policy is told what a gateway is told: of each create and join as it comes, and of people who left and meetings that ended by
the next poll. What it cannot know, who is where right now, is counted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor
from typing import NamedTuple

from admin.simulation.policies.policy import Policy
from admin.simulation.runs import Kind, Run, events_of

# Seconds between two looks at the servers.
SAMPLED_EVERY = 30.0


class Sample(NamedTuple):
    """The pool at one moment: all people, those on the server that has most of them, those of the largest meeting.

    `crowded`: people on servers that have more than their capacity.
    """

    at: float
    people: int
    hottest: int
    biggest: int
    crowded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of it. `placed`: the server of each run, from 0."""

    servers: int
    placed: list[int]
    samples: list[Sample]


def replay(runs: Sequence[Run], policy: Policy, *, servers: int, poll_interval: float, capacity: int) -> Replay:
    """Plays the runs. Polls come at multiples of `poll_interval` seconds, before what happens at the same moment."""
    pool = _SimulatedPool(runs, policy, servers=servers, poll_interval=poll_interval, capacity=capacity)
    for at, kind, run in events_of(runs):
        if at >= pool.next_look:
            pool.look_until(at)
        pool.let_happen(at, kind, run)
    return Replay(servers=servers, placed=pool.placed, samples=pool.samples)


@dataclass(slots=True, kw_only=True)
class _Ticks:
    """Moments at the multiples of `every`."""

    every: float
    count: int

    @property
    def at(self) -> float:
        return self.count * self.every

    def advance(self, until: float | None = None) -> None:
        """To the next one; or, nothing being to be seen `until` then, to the first after that."""
        self.count = self.count + 1 if until is None else max(self.count, floor(until / self.every)) + 1


@dataclass(slots=True)
class _SimulatedPool:
    """The state of the pool while it is played."""

    runs: Sequence[Run]
    policy: Policy
    servers: int = field(kw_only=True)
    poll_interval: float = field(kw_only=True)
    capacity: int = field(kw_only=True)
    next_look: float = field(init=False)
    placed: list[int] = field(init=False)
    samples: list[Sample] = field(default_factory=list)
    _polls: _Ticks = field(init=False)
    _looks: _Ticks = field(init=False)
    _people: list[int] = field(init=False)
    _people_on: list[int] = field(init=False)
    _running: set[int] = field(default_factory=set)
    _changed: set[int] = field(default_factory=set)
    _ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        begin = self.runs[0].start if self.runs else 0.0
        self._polls = _Ticks(every=self.poll_interval, count=floor(begin / self.poll_interval))
        self._looks = _Ticks(every=SAMPLED_EVERY, count=floor(begin / SAMPLED_EVERY))
        self.next_look = min(self._polls.at, self._looks.at)
        self.placed = [-1] * len(self.runs)
        self._people = [0] * len(self.runs)
        self._people_on = [0] * self.servers

    def let_happen(self, at: float, kind: int, run: int) -> None:
        if kind == Kind.JOIN:
            self._count(run, 1)
            self.policy.joined(at, run)
        elif kind == Kind.LEAVE:
            self._count(run, -1)
        elif kind == Kind.CREATE:
            self.placed[run] = self.policy.place(at, run, self.runs[run].key)
            self._running.add(run)
        else:
            self._running.remove(run)
            self._changed.discard(run)
            self._ended.append(run)

    def look_until(self, now: float) -> None:
        """Polls and samples that are due, up to `now`."""
        while self.next_look <= now:
            if self._polls.at <= self._looks.at:
                self._poll(now)
            else:
                self._sample(now)
            self.next_look = min(self._polls.at, self._looks.at)

    def _count(self, run: int, change: int) -> None:
        self._people[run] += change
        self._people_on[self.placed[run]] += change
        self._changed.add(run)

    def _poll(self, now: float) -> None:
        if not self._running and not self._ended:
            self._polls.advance(now)
            return
        self.policy.polled(self._polls.at, {run: self._people[run] for run in sorted(self._changed)}, self._ended)
        self._changed, self._ended = set(), []
        self._polls.advance()

    def _sample(self, now: float) -> None:
        people = sum(self._people_on)
        if not people:
            self._looks.advance(now)
            return
        biggest = max(self._people[run] for run in self._running)
        crowded = sum(each for each in self._people_on if each > self.capacity)
        self.samples.append(Sample(self._looks.at, people, max(self._people_on), biggest, crowded))
        self._looks.advance()
