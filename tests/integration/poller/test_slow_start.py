"""Servers that come back, once or again and again: what polls write of them, and what share of new meetings they get."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from meetingpool.domain.meetings import ReportedMeeting
from meetingpool.domain.placement import PlacementRequest
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import Health, Server, ServerId
from meetingpool.operations.record_polls import Poll
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.pool import FrontEnd, RunningPool, running_pool

_LATER = """
    UPDATE servers SET failing_since = failing_since - passed, offline_since = offline_since - passed,
        online_since = online_since - passed, last_poll = last_poll - passed
    FROM make_interval(secs => $1) AS passed
"""


async def later(pool: RunningPool, seconds: float) -> None:
    """So much time passes for what the database knows of servers."""
    await pool.database.statement(_LATER, seconds)


async def fall(pool: RunningPool, server: SimulatedServer) -> None:
    await pool.fleet.set_faults(server, Faults(refuse=True))
    for _ in range(3):
        await pool.poll()
    await pool.fleet.set_faults(server, NO_FAULTS)


@pytest.fixture
async def returning(pool: RunningPool) -> SimulatedServer:
    """Of three servers that are there for long, the empty one: it fell and is to come back. The others carry 60 and 30 people."""
    await later(pool, 3600)
    first, second, third = pool.fleet.servers
    second.create_meeting("b", name="B", people=60)
    third.create_meeting("c", name="C", people=30)
    await fall(pool, first)
    return first


async def handicap_of(pool: RunningPool, server: SimulatedServer) -> float:
    return (await pool.servers())[server.name].handicap


async def test_a_server_that_comes_back_counts_as_the_others_and_less_so_for_a_minute(
    pool: RunningPool, returning: SimulatedServer
) -> None:
    seen = []
    for seconds in (0, 15, 15, 29, 2):
        await later(pool, seconds)
        await pool.poll()
        seen.append(await handicap_of(pool, returning))
    assert seen == pytest.approx([45, 45 * 0.75, 45 * 0.5, 45 * 1 / 60, 0], abs=0.2)
    assert [server.handicap for server in (await pool.servers()).values()] == [0, 0, 0]


async def test_what_it_carries_already_counts_and_so_does_its_multiplier(pool: RunningPool, returning: SimulatedServer) -> None:
    returning.create_meeting("a", name="A", people=25)
    await pool.change_server(returning, load_multiplier=2.0)
    await pool.poll()
    assert await handicap_of(pool, returning) == pytest.approx(45 * 2 - 25 * 2)


async def test_gateways_hear_of_it(pool: RunningPool, returning: SimulatedServer) -> None:
    front_end = await pool.front_end()
    for seconds, expected in ((0, 45), (61, 0)):
        await later(pool, seconds)
        await pool.poll()
        async with asyncio.timeout(5):
            while not (known := _known(front_end, returning)).takes_new_meetings or known.handicap != pytest.approx(expected):
                await asyncio.sleep(0.01)


async def test_a_gateway_that_starts_meanwhile_knows_of_it(pool: RunningPool, returning: SimulatedServer) -> None:
    await pool.poll()
    assert _known(await pool.front_end(), returning).handicap == pytest.approx(45)


async def test_a_failed_poll_leaves_it(pool: RunningPool, returning: SimulatedServer) -> None:
    await pool.poll()
    await pool.fleet.set_faults(returning, Faults(refuse=True))
    await pool.poll()
    assert (await pool.servers())[returning.name].health is Health.SUSPECT
    assert await handicap_of(pool, returning) == pytest.approx(45)


async def test_a_server_that_comes_back_shares_new_meetings_with_the_others(database_url: str) -> None:
    async with running_pool(database_url, servers=4) as pool:
        await later(pool, 3600)
        returning, *others = pool.fleet.servers
        for server in others:
            server.create_meeting(f"on-{server.name}", name="A", people=90)
        await fall(pool, returning)
        await pool.poll()
        front_end = await pool.front_end()
        for number in range(8):
            await front_end.create(f"room-{number}")
        assert len(returning.meetings) == 2
        await later(pool, 61)
        await pool.poll()
        front_end = await pool.front_end()
        for number in range(3):
            await front_end.create(f"later-{number}")
        assert len(returning.meetings) == 5


async def test_a_full_pool_is_helped_at_once(pool: RunningPool, returning: SimulatedServer) -> None:
    for server in pool.fleet.servers:
        await pool.change_server(server, max_users=30)
    await pool.poll()
    front_end = await pool.front_end()
    for number in range(2):
        await front_end.create(f"room-{number}")
    assert len(returning.meetings) == 2


async def test_where_all_come_online_nobody_is_held_back(pool: RunningPool) -> None:
    """As when a pool is set up, or a poller leads for the first time."""
    first, second, third = pool.fleet.servers
    second.create_meeting("b", name="B", people=60)
    third.create_meeting("c", name="C", people=30)
    await fall(pool, first)
    await pool.poll()
    assert [server.handicap for server in (await pool.servers()).values()] == [0, 0, 0]


async def test_a_pool_of_one_is_not_held_back(database_url: str) -> None:
    async with running_pool(database_url, servers=1) as pool:
        await later(pool, 3600)
        await fall(pool, pool.fleet.servers[0])
        await pool.poll()
        assert await handicap_of(pool, pool.fleet.servers[0]) == 0


async def test_a_server_that_is_up_and_down_for_an_hour_gets_few_meetings(pool: RunningPool) -> None:
    await later(pool, 3600)
    hour = Hour(pool)
    for second in range(3600):
        await hour.step(second)
    flapping = ServerId(pool.fleet.servers[0].name)
    assert sum(hour.got.values()) == 3600 / Hour.CREATE_EVERY
    assert 0 < (hour.got[flapping] + hour.refused) / sum(hour.got.values()) <= 0.1


class Hour:
    """An hour of the first server's going up and down, polls and creates, second by second. It loses its meetings each time."""

    PERIOD = 40
    POLL_EVERY = 10
    CREATE_EVERY = 2
    LASTS = 1200

    def __init__(self, pool: RunningPool) -> None:
        self.got: Counter[ServerId] = Counter()
        self.refused = 0
        self._running = pool
        self._pool = Pool(Random(1))
        self._flapping = ServerId(pool.fleet.servers[0].name)
        self._ends: dict[ServerId, list[int]] = {ServerId(server.name): [] for server in pool.fleet.servers}

    async def step(self, second: int) -> None:
        is_up = second // self.PERIOD % 2 == 0
        if not is_up:
            self._ends[self._flapping].clear()
        if second % self.POLL_EVERY == 0:
            await self._poll(second, is_up)
        if second % self.CREATE_EVERY == 0:
            self._create(second, is_up)

    async def _poll(self, second: int, is_up: bool) -> None:
        await later(self._running, self.POLL_EVERY)
        polls = {server_id: self._seen(server_id, second, is_up) for server_id in self._ends}
        self._running.reached = {server_id: poll.meetings is not None for server_id, poll in polls.items()}
        await self._running.record(polls)
        self._pool.replace_servers((await self._running.servers()).values())
        for server_id, reached in self._running.reached.items():
            if reached:
                self._pool.poll_reached(server_id)

    def _seen(self, server_id: ServerId, second: int, is_up: bool) -> Poll:
        poll = Poll(server_id=server_id, began=self._running.clock.monotonic(), meetings=None, error="no connection")
        if server_id == self._flapping and not is_up:
            return poll
        self._ends[server_id] = [end for end in self._ends[server_id] if end > second]
        meetings = tuple(_meeting(server_id, number) for number in range(len(self._ends[server_id])))
        return replace(poll, meetings=meetings, ages=(0.0,) * len(meetings), error="")

    def _create(self, second: int, is_up: bool) -> None:
        server = self._chosen()
        if server.id == self._flapping and not is_up:
            self.refused += 1
            self._pool.server_refused(server.id)
            server = self._chosen(server.id)
        self.got[server.id] += 1
        self._ends[server.id].append(second + self.LASTS)
        self._pool.set_load(server.id, server.load + 15)

    def _chosen(self, *avoid: ServerId) -> Server:
        return self._pool.choose(PlacementRequest(users=15), avoid=avoid).server


def _meeting(server_id: ServerId, number: int) -> ReportedMeeting:
    name = f"{server_id}-{number}"
    return ReportedMeeting(meeting_id=name, internal_id=name, created_ms=1, users=15, videos=0, is_breakout=False)


def _known(front_end: FrontEnd, server: SimulatedServer) -> Server:
    return front_end.gateway.view.pool.servers[ServerId(server.name)]
