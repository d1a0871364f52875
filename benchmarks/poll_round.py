"""What a round of polls costs: the CPU of the poller and of PostgreSQL, per round over all servers.

The reference is a process that fetches the same documents with aiohttp and reads nothing from them.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from benchmarks.cpu import cpu_of
from benchmarks.pool import SECRET_KEY, FilledPool, filled_pool
from benchmarks.processes import ProcessFailed, output_of, running_module
from meetingpool.bbb.client import signed_url

SERVERS, MEETINGS, PEOPLE = 500, 20, 10
GOAL_SECONDS = 0.7
LOOK_EVERY = 0.5
BARE_ROUNDS = 20

LastPolls = dict[str, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCost:
    """Seconds of CPU for one poll of every server."""

    poller: float
    database: float

    @property
    def total(self) -> float:
        return self.poller + self.database


@dataclass(frozen=True, slots=True, kw_only=True)
class PollCost:
    """Medians over the rounds. `bare`: seconds of CPU to fetch the same documents and read nothing of them."""

    interval: float
    rounds: list[RoundCost]
    bare: float

    @property
    def poller(self) -> float:
        return median(each.poller for each in self.rounds)

    @property
    def database(self) -> float:
        return median(each.database for each in self.rounds)

    @property
    def total(self) -> float:
        return median(each.total for each in self.rounds)

    @property
    def ratio(self) -> float:
        return self.total / self.bare


async def measure_polls(*, quick: bool) -> PollCost:
    interval, rounds = (10.0, 2) if quick else (20.0, 4)
    async with filled_pool(servers=SERVERS, meetings=MEETINGS, people=PEOPLE) as pool:
        bare = await _bare_fetch(pool)
        environment = {
            "MEETINGPOOL_DATABASE_URL": pool.url,
            "MEETINGPOOL_SECRET_KEY": SECRET_KEY,
            "MEETINGPOOL_POLL_INTERVAL": str(interval),
        }
        async with running_module("poller", environment=environment) as poller, aclosing(_rounds(pool, poller)) as costs:
            # The first round opens connections and asks for versions.
            await anext(costs)
            measured = [await anext(costs) for _ in range(rounds)]
    return PollCost(interval=interval, rounds=measured, bare=bare)


async def _bare_fetch(pool: FilledPool) -> float:
    urls = [signed_url(server.url, server.secret, "getMeetings", ()) for server in pool.servers]
    output = await output_of("benchmarks.bare_fetch", str(BARE_ROUNDS), given=json.dumps(urls).encode())
    return float(median(json.loads(output)))


async def _rounds(pool: FilledPool, poller: asyncio.subprocess.Process) -> AsyncGenerator[RoundCost]:
    """The cost of each round: a span in which every server was polled, divided by how often that was on average."""
    while True:
        began, polls = (cpu_of(poller.pid), pool.database_cpu()), await _until_all_polled(pool, poller)
        share = len(pool.servers) / polls
        yield RoundCost(
            poller=(cpu_of(poller.pid) - began[0]) * share,
            database=(pool.database_cpu() - began[1]) * share,
        )


async def _until_all_polled(pool: FilledPool, poller: asyncio.subprocess.Process) -> int:
    """How many polls were recorded until every server had at least one. Raises ProcessFailed."""
    before = await _last_polls(pool)
    polled: set[str] = set()
    polls = 0
    while len(polled) < len(pool.servers):
        if poller.returncode is not None:
            raise ProcessFailed(f"the poller ended with {poller.returncode}")
        await asyncio.sleep(LOOK_EVERY)
        now = await _last_polls(pool)
        advanced = {server_id for server_id, at in now.items() if at != before[server_id]}
        polled |= advanced
        polls += len(advanced)
        before = now
    return polls


async def _last_polls(pool: FilledPool) -> LastPolls:
    async with pool.database.transaction() as connection:
        return dict(await connection.fetch("SELECT id, last_poll FROM servers"))
