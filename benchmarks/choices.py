"""What a decision costs: the CPU of the choice of a server, and of what keeps the picture that it is made by.

In one process and without a database: a part of what a create costs, which is measured as a whole among the calls. The reference
is sorting the servers by their loads, which is what a choice would cost at the least if nothing were kept.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.placement import PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.timetable import Upcoming

SERVERS, MEETINGS = 500, 10_000
UPCOMING = (0, 300, 3000)
# Seconds of CPU for a decision.
GOAL_SECONDS = 0.001
PEOPLE = 10.0
ROUNDS, CHOICES, QUICK_CHOICES = 7, 1000, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCost:
    """With so many meetings `upcoming`, in seconds of CPU: medians over the rounds.

    `decision`: a choice, its promise and the new meeting; `plan`: laying out what is upcoming, once a second; `loads`: the loads
    of all servers, once a round of polls; `sorting`: the servers by their loads, once.
    """

    upcoming: int
    decision: float
    plan: float
    loads: float
    sorting: float

    @property
    def ratio(self) -> float:
        return self.decision / self.sorting


def measure_choices(*, quick: bool) -> list[ChoiceCost]:
    """For each number of upcoming meetings a pool of its own, the same each time."""
    return [_measure(upcoming, QUICK_CHOICES if quick else CHOICES) for upcoming in UPCOMING]


def _measure(upcoming: int, choices: int) -> ChoiceCost:
    draw = random.Random(upcoming)
    pool = _pool(draw)
    pool.foresee(Outlook(upcoming=_upcoming(draw, upcoming)))
    decisions, plans, loads, sortings = [], [], [], []
    for number in range(ROUNDS):
        decisions.append(_cpu(partial(_decide_all, pool, [f"{number}-{each}" for each in range(choices)])) / choices)
        plans.append(_cpu(pool.plan))
        loads.append(_cpu(partial(_set_loads, pool, {server_id: draw.uniform(50, 300) for server_id in pool.servers})))
        sortings.append(_cpu(lambda: sorted(pool.servers.values(), key=pool.load_of)))
    return ChoiceCost(
        upcoming=upcoming, decision=median(decisions), plan=median(plans), loads=median(loads), sorting=median(sortings)
    )


def _decide_all(pool: Pool, names: Iterable[str]) -> None:
    for name in names:
        _decide(pool, name)


def _set_loads(pool: Pool, loads: Mapping[ServerId, float]) -> None:
    for server_id, load in loads.items():
        pool.set_load(server_id, load)


def _decide(pool: Pool, name: str) -> None:
    """As a gateway does: chosen, promised, written by the database, known."""
    key = MeetingKey("default", name)
    server = pool.choose(PlacementRequest(key=key, users=PEOPLE), avoid=()).server
    pool.promise(server.id, PEOPLE, meetings=1)
    pool.promise(server.id, -PEOPLE, meetings=-1)
    pool.set_load(server.id, server.load + PEOPLE)
    pool.put_meeting(_meeting(key, server.id, MEETINGS + len(pool.meetings)), name)


def _pool(draw: random.Random) -> Pool:
    pool = Pool(draw)
    pool.replace_servers(_server(number, draw.uniform(50, 300)) for number in range(SERVERS))
    ids = list(pool.servers)
    for number in range(MEETINGS):
        key = MeetingKey("default", f"room-{number}")
        pool.put_meeting(_meeting(key, ids[number % SERVERS], number + 1), key.meeting_id)
    return pool


def _server(number: int, load: float) -> Server:
    return Server(
        id=ServerId(f"bbb-{number}.example.org"),
        url="https://bbb.example.org/",
        secret="none",
        admin_state=AdminState.ENABLED,
        health=Health.ONLINE,
        load=load,
    )


def _meeting(key: MeetingKey, server_id: ServerId, generation: int) -> Meeting:
    return Meeting(key=key, server_id=server_id, generation=generation, state=MeetingState.LIVE, expected_users=PEOPLE)


def _upcoming(draw: random.Random, count: int) -> tuple[Upcoming, ...]:
    found = [
        Upcoming(key=MeetingKey("default", f"due-{number}"), users=draw.lognormvariate(3, 1), chance=draw.random())
        for number in range(count)
    ]
    return tuple(sorted(found, key=lambda each: -each.users))


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def choices_table(costs: list[ChoiceCost]) -> str:
    """A row for each number of upcoming meetings."""
    most = max(cost.decision for cost in costs)
    lines = [
        f"A decision among {SERVERS} servers with {MEETINGS:,} meetings, as a ratio to sorting the servers once",
        "",
        f"{'upcoming':>8}{'decision us':>13}{'ratio':>8}{'plan ms':>10}{'all loads ms':>14}",
        *(
            f"{cost.upcoming:>8}{cost.decision * 1e6:>13.0f}{cost.ratio:>8.2f}{cost.plan * 1e3:>10.2f}{cost.loads * 1e3:>14.1f}"
            for cost in costs
        ),
        "",
        f"goal: {GOAL_SECONDS * 1e6:.0f} us for a decision: {'met' if most <= GOAL_SECONDS else 'missed'}",
    ]
    return "\n".join(lines)


def choices_json(costs: list[ChoiceCost]) -> list[dict[str, Any]]:
    """All times in seconds of CPU."""
    return [
        {
            "upcoming": cost.upcoming,
            "decision": cost.decision,
            "ratio": cost.ratio,
            "plan": cost.plan,
            "loads": cost.loads,
            "sorting": cost.sorting,
        }
        for cost in costs
    ]
