"""Wrong checksums are answered more and more slowly, right ones always; a slow database has creates refused, not queued."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import httpx
import pytest

from meetingpool.database.engine import plain_url
from meetingpool.domain.meetings import MeetingState
from tests.integration.gateway.test_pool_view import until
from tests.logs import captured_logs
from tests.pool import ENDPOINT, FrontEnd, RunningPool, key_of, read, running_pool, succeeded

LIMIT = 10
WRONG = f"{ENDPOINT}/isMeetingRunning?meetingID=room&checksum={'0' * 64}"


@dataclass
class StoppedClock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return time.time()


@pytest.fixture
async def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def pool(database_url: str, clock: StoppedClock) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, servers=1, clock=clock) as pool:
        yield pool


async def wrong_from(front_end: FrontEnd, pool: RunningPool, address: str, times: int) -> list[httpx.Response]:
    """Answers to calls with a wrong checksum from `address`."""
    transport = httpx.ASGITransport(pool.application(front_end.gateway), client=(address, 4711))
    async with httpx.AsyncClient(transport=transport) as stranger:
        return [await stranger.get(WRONG) for _ in range(times)]


async def test_an_address_with_many_wrong_checksums_is_told_to_wait_longer_and_longer(pool: RunningPool) -> None:
    answers = await wrong_from(await pool.front_end(), pool, "192.0.2.1", LIMIT + 4)
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429] * 4
    assert {answer.content for answer in answers} == {answers[0].content}
    assert key_of(read(answers[0])) == "checksumError"
    waits = [int(answer.headers["retry-after"]) for answer in answers[LIMIT:]]
    assert waits == sorted(set(waits))
    assert waits[0] >= 1


async def test_an_address_that_was_told_to_wait_and_did_is_heard_again(pool: RunningPool, clock: StoppedClock) -> None:
    front_end = await pool.front_end()
    last = (await wrong_from(front_end, pool, "192.0.2.1", LIMIT + 1))[-1]
    clock.now += int(last.headers["retry-after"])
    (answer,) = await wrong_from(front_end, pool, "192.0.2.1", 1)
    assert answer.status_code == 200


async def test_a_right_checksum_is_served_whoever_else_has_that_address(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    for _ in range(LIMIT + 5):
        await front_end.http.get(WRONG)
    assert (await front_end.http.get(WRONG)).status_code == 429
    assert succeeded(await front_end.create("room"))
    assert succeeded(await front_end.ask("isMeetingRunning", meetingID="room"))


async def test_other_addresses_have_limits_of_their_own(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    await wrong_from(front_end, pool, "192.0.2.1", LIMIT + 1)
    (other,) = await wrong_from(front_end, pool, "192.0.2.2", 1)
    (again,) = await wrong_from(front_end, pool, "192.0.2.1", 1)
    assert (other.status_code, again.status_code) == (200, 429)


async def test_wrong_checksums_of_an_address_are_one_line_in_the_log(pool: RunningPool) -> None:
    with captured_logs() as logs:
        await wrong_from(await pool.front_end(), pool, "192.0.2.1", 3 * LIMIT)
    lines = [line for line in logs if line["event"] == "failed_checksums"]
    assert [(line["address"], line["count"]) for line in lines] == [("192.0.2.1", 1)]
    assert "0" * 64 not in str(logs)


async def until_waiting(front_end: FrontEnd, number: int) -> None:
    """Until so many creates wait for the database, alone or together, or nobody does: after a create, others are told of it."""
    gateway = front_end.gateway
    async with asyncio.timeout(3):
        while not number <= gateway.database.callers + gateway.placer.callers <= 2 * number:
            await asyncio.sleep(0.01)


async def test_creates_beyond_what_may_wait_for_a_slow_database_are_refused_at_once(database_url: str) -> None:
    async with running_pool(database_url, max_requests=8) as pool, AsyncExitStack() as stack:
        front_end = await pool.front_end()
        # By another gateway, so that this one has nothing left to tell of it.
        assert succeeded(await (await pool.front_end()).create("known"))
        view = front_end.gateway.view.pool
        await until(lambda: [meeting.state for meeting in view.meetings.values()] == [MeetingState.LIVE])
        slow = await asyncpg.connect(plain_url(database_url))
        stack.push_async_callback(slow.close)
        await slow.execute("BEGIN; LOCK TABLE meetings, servers IN ACCESS EXCLUSIVE MODE")
        waiting = [asyncio.create_task(front_end.get("create", meetingID=f"room-{n}", name="A room")) for n in range(4)]
        await until_waiting(front_end, 4)
        refused = await asyncio.wait_for(front_end.get("create", meetingID="too-many", name="A room"), 1)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert b"<messageKey>internalError</messageKey>" in refused.content
        joined = await asyncio.wait_for(front_end.get("join", meetingID="known", fullName="Ada", role="VIEWER"), 1)
        assert joined.status_code == 302
        await slow.execute("ROLLBACK")
        assert all(succeeded(read(answer)) for answer in await asyncio.gather(*waiting))
        assert succeeded(await front_end.create("too-many"))
        await until_waiting(front_end, 0)
