"""Many creates at the same moment, at four gateways that share nothing but the database: every server gets its part."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, cycle

from meetingpool.bbb.client import Client
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.pool import SECRET, RunningPool, running_pool

GATEWAYS = 4
ROUNDS = 20
BURST = 1000
AT_ONCE = 60


class Herd:
    """Front ends that create one meeting after the other, each at the next gateway."""

    def __init__(self, client: Client, gateways: Sequence[GatewayProcess]) -> None:
        self._client = client
        self._gateways = cycle(gateways)
        self._numbers = count()

    async def create(self) -> None:
        parameters = [("meetingID", f"room-{next(self._numbers)}"), ("name", "A room")]
        answer = await self._client.call(f"{next(self._gateways).endpoint}/", SECRET, "create", parameters, deadline=30)
        assert answer.text("returncode") == "SUCCESS", answer.message_key


@asynccontextmanager
async def herd_before(database_url: str, servers: int) -> AsyncIterator[tuple[RunningPool, Herd]]:
    """A pool of equal servers behind four gateway processes."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(running_pool(database_url, servers=servers))
        starting = [stack.enter_async_context(gateway_process(database_url)) for _ in range(GATEWAYS)]
        gateways = await asyncio.gather(*starting)
        yield pool, Herd(await stack.enter_async_context(Client(connect_timeout=10)), gateways)


async def test_creates_at_the_same_moment_on_equal_servers_land_one_on_each(database_url: str) -> None:
    """The servers are empty at first, and then have as many meetings as there were rounds."""
    async with herd_before(database_url, servers=8) as (pool, herd):
        for number in range(ROUNDS):
            await asyncio.gather(*(herd.create() for _ in pool.fleet.servers))
            assert {len(server.meetings) for server in pool.fleet.servers} == {number + 1}


async def test_a_thousand_creates_are_spread_although_a_poll_comes_between(database_url: str) -> None:
    async with herd_before(database_url, servers=16) as (pool, herd):
        places = asyncio.Semaphore(AT_ONCE)

        async def create(number: int) -> None:
            async with places:
                await herd.create()
            if number == BURST // 2:
                await pool.poll()

        await asyncio.gather(*map(create, range(BURST)))
        meetings = Counter({server.name: len(server.meetings) for server in pool.fleet.servers})
        assert meetings.total() == BURST
        assert max(meetings.values()) / (BURST / len(meetings)) <= 1.15
