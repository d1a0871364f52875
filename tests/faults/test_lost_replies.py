"""Replies get lost at random, at every server, while several gateways create: no meeting is ever split."""

import asyncio

from simulator.faults import NO_FAULTS, Faults
from tests.pool import FrontEnd, running_pool, succeeded

CREATE = frozenset({"create"})
MEETINGS = 150


async def create_until_it_succeeds(front_ends: list[FrontEnd], number: int) -> str | None:
    for attempt in range(40):
        answer = await front_ends[(number + attempt) % len(front_ends)].create(f"room-{number}")
        if succeeded(answer):
            return answer.findtext("internalMeetingID")
    return None


async def test_lost_replies_and_polls_in_between_split_no_meeting(database_url: str) -> None:
    async with running_pool(database_url, servers=4) as pool:
        front_ends = [await pool.front_end() for _ in range(3)]
        for server, faults in zip(
            pool.fleet.servers,
            (
                Faults(drop_after=True, calls=CREATE, probability=0.3),
                Faults(drop_before=True, calls=CREATE, probability=0.3),
                Faults(http_status=502, calls=CREATE, probability=0.3),
                Faults(body="truncated", calls=CREATE, probability=0.3),
            ),
            strict=True,
        ):
            await pool.fleet.set_faults(server, faults)
        creating = asyncio.gather(*(create_until_it_succeeds(front_ends, number) for number in range(MEETINGS)))
        while not creating.done():
            await pool.poll()
            await asyncio.sleep(0.05)
        internal_ids = await creating
        assert None not in internal_ids
        for number in range(MEETINGS):
            assert len(pool.holders(f"room-{number}")) == 1
        for server in pool.fleet.servers:
            await pool.fleet.set_faults(server, NO_FAULTS)
        repeated = [await front_ends[0].create(f"room-{number}") for number in range(MEETINGS)]
        assert [answer.findtext("internalMeetingID") for answer in repeated] == internal_ids


async def test_servers_that_refuse_and_come_back_split_no_meeting(database_url: str) -> None:
    async with running_pool(database_url, servers=4) as pool:
        front_ends = [await pool.front_end() for _ in range(3)]

        async def flap() -> None:
            for round_number in range(20):
                server = pool.fleet.servers[round_number % 4]
                await pool.fleet.set_faults(server, Faults(refuse=True))
                await asyncio.sleep(0.05)
                await pool.fleet.set_faults(server, NO_FAULTS)

        flapping = asyncio.create_task(flap())
        await asyncio.gather(*(create_until_it_succeeds(front_ends, number) for number in range(MEETINGS)))
        await flapping
        assert {len(pool.holders(f"room-{number}")) for number in range(MEETINGS)} == {1}
