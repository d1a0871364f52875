"""Front ends that are down or slow, deliverers that die, and a database that is away: nothing announced is lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import make_url

from meetingpool.database.engine import DatabaseUnavailable, plain_url
from meetingpool.domain.announcements import PAUSES, AnnouncementState
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.operations import deliver_callbacks
from tests.callbacks import KINDS, CallbackPool, SlowFrontEnd, callback_pool, delivering
from tests.end_to_end.processes import free_port
from tests.integration.simulator.receiving import eventually
from tests.pool import SECRET

# A process on a busy machine.
START_TIMEOUT = 60.0


@pytest.fixture
async def callbacks(database_url: str) -> AsyncIterator[CallbackPool]:
    async with callback_pool(database_url) as callbacks:
        yield callbacks


@asynccontextmanager
async def poller_process(database_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A poller that delivers too; killed at the end if it has not ended."""
    settings = {
        "MEETINGPOOL_DATABASE_URL": database_url,
        "MEETINGPOOL_LOADBALANCER_SECRET": SECRET,
        "MEETINGPOOL_CALLBACK_ALLOW": "127.0.0.0/8",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", env=os.environ | settings, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def closed_to_all(database_url: str) -> AsyncIterator[None]:
    """The database is away: connections break, and none are accepted."""
    name = make_url(database_url).database
    maintenance = make_url(database_url).set(database="postgres").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain_url(maintenance))
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    try:
        yield
    finally:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await connection.close()


async def until_it_is_back(callbacks: CallbackPool) -> None:
    while True:
        try:
            await callbacks.kept()
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


async def until_it_waits_for_a_lock(callbacks: CallbackPool) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meetingpool callbacks' AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(5):
        while True:
            async with callbacks.pool.database.transaction() as connection:
                if await connection.fetchval(waiting):
                    return
            await asyncio.sleep(0.02)


async def test_a_deliverer_that_is_killed_before_it_wrote_down_its_success_loses_nothing(
    callbacks: CallbackPool, database_url: str
) -> None:
    async with SlowFrontEnd.running() as slow, poller_process(database_url) as poller:
        await callbacks.announce(slow.origin)
        async with asyncio.timeout(START_TIMEOUT):
            while not slow.came:
                await asyncio.sleep(0.05)
        async with callbacks.pool.database.transaction() as connection:
            await connection.execute("SELECT FROM outbox FOR UPDATE")
            slow.answers.set()
            await until_it_waits_for_a_lock(callbacks)
            poller.kill()
            await poller.wait()
        assert [kept.state for kept in await callbacks.kept()] == ["pending"]
        await callbacks.make_due()
        async with delivering(callbacks.pool):
            await callbacks.until_states("delivered")
        assert slow.came == 2


async def test_a_poller_that_is_told_to_stop_finishes_what_it_began(callbacks: CallbackPool, database_url: str) -> None:
    async with SlowFrontEnd.running() as slow, poller_process(database_url) as poller:
        await callbacks.announce(slow.origin)
        async with asyncio.timeout(START_TIMEOUT):
            while not slow.came:
                await asyncio.sleep(0.05)
        poller.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        slow.answers.set()
        assert await asyncio.wait_for(poller.wait(), START_TIMEOUT) == 0
    assert [kept.state for kept in await callbacks.kept()] == ["delivered"]


async def test_what_a_stopping_deliverer_cannot_finish_is_due_for_the_next(
    callbacks: CallbackPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_callbacks, "FINISH_WITHIN", 0.1)
    async with SlowFrontEnd.running() as slow:
        await callbacks.announce(slow.origin)
        async with delivering(callbacks.pool):
            await eventually(lambda: slow.came)
        (kept,) = await callbacks.kept()
        assert (kept.state, kept.attempts) == (AnnouncementState.PENDING, 0)
        assert kept.next_attempt_at <= datetime.now(UTC)
        slow.answers.set()
        async with delivering(callbacks.pool):
            await callbacks.until_states("delivered")


async def test_a_server_that_calls_while_the_database_is_away_is_told_so_and_heard_later(
    callbacks: CallbackPool, database_url: str
) -> None:
    (server,) = callbacks.servers
    server.retry_factor = 0.01
    await callbacks.front_end.create("room", **callbacks.addresses())
    paths = [callbacks.given_path(kind) for kind in KINDS]
    async with closed_to_all(database_url):
        server.end(server.meetings["room"])
        await eventually(
            lambda: server.outward_counts["meeting_ended_attempted"] and server.outward_counts["end_callback_attempted"]
        )
        for path, method in zip(paths, ("GET", "GET", "POST", "POST"), strict=True):
            assert (await callbacks.call(path, method)).status_code == 503
    await eventually(lambda: server.outward_counts["meeting_ended_delivered"] and server.outward_counts["end_callback_delivered"])
    kinds = [kept.kind for kept in await callbacks.kept()]
    assert sorted(kinds) == ["end-callback", "meeting-ended"]


async def test_a_success_is_written_down_when_the_database_is_back(callbacks: CallbackPool, database_url: str) -> None:
    async with SlowFrontEnd.running() as slow, delivering(callbacks.pool):
        await callbacks.announce(slow.origin)
        await eventually(lambda: slow.came)
        async with closed_to_all(database_url):
            slow.answers.set()
            await asyncio.sleep(0.5)
        async with asyncio.timeout(10):
            await until_it_is_back(callbacks)
            await callbacks.until_states("delivered")
        assert slow.came == 1


async def test_a_front_end_that_is_down_is_told_when_it_is_up(callbacks: CallbackPool) -> None:
    port = free_port()
    async with delivering(callbacks.pool):
        await callbacks.announce(f"http://127.0.0.1:{port}/ended?token=canary")
        assert "canary" not in await callbacks.last_error()
        (kept,) = await callbacks.kept()
        assert (kept.state, kept.attempts) == (AnnouncementState.PENDING, 1)
        assert 25 < (kept.next_attempt_at - datetime.now(UTC)).total_seconds() < 37
        async with SlowFrontEnd.running(port) as up:
            up.answers.set()
            await callbacks.make_due()
            await callbacks.until_states("delivered")
            assert up.came == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_front_end_that_fails_for_a_day_is_given_up(callbacks: CallbackPool, kind: CallbackKind) -> None:
    await callbacks.announce(callbacks.receiver.origin, kind=kind)
    await callbacks.execute("UPDATE outbox SET attempts = $1", len(PAUSES) - 1)
    callbacks.receiver.answers.extend(["500 Oops"] * 2)
    async with delivering(callbacks.pool):
        await callbacks.receiver.next()
        await callbacks.last_error()
        assert [kept.state for kept in await callbacks.kept()] == ["pending"]
        await callbacks.make_due()
        await callbacks.until_states("given_up")
    assert [kept.last_error for kept in await callbacks.kept()] == ["the front end answered with status 500"]


async def test_what_cannot_be_signed_waits_for_a_secret(callbacks: CallbackPool) -> None:
    await callbacks.announce(callbacks.receiver.origin, kind=CallbackKind.RECORDING_READY)
    async with delivering(callbacks.pool, secrets=()):
        assert await callbacks.last_error() == "there is no secret to sign it with"
    assert callbacks.receiver.is_idle
    await callbacks.make_due()
    async with delivering(callbacks.pool):
        await callbacks.until_states("delivered")


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_a_front_end_that_wants_nothing_of_a_recording_is_asked_once(callbacks: CallbackPool, status: str) -> None:
    callbacks.receiver.answers.extend([status] * 3)
    await callbacks.announce(callbacks.receiver.origin, kind=CallbackKind.RECORDING_READY)
    await callbacks.announce(callbacks.receiver.origin, kind=CallbackKind.ANALYTICS)
    await callbacks.announce(callbacks.receiver.origin, kind=CallbackKind.END_CALLBACK)
    async with delivering(callbacks.pool):
        await callbacks.until_states("refused", "refused", "pending")


@pytest.mark.parametrize("status", ["301 Moved\r\nLocation: /other", "302 Found\r\nLocation: /other"])
async def test_a_redirect_is_no_success(callbacks: CallbackPool, status: str) -> None:
    callbacks.receiver.answers.append(status)
    await callbacks.announce(callbacks.receiver.origin)
    async with delivering(callbacks.pool):
        await callbacks.receiver.next()
        await callbacks.last_error()
    assert callbacks.receiver.is_idle


async def test_a_slow_front_end_delays_itself_only(callbacks: CallbackPool) -> None:
    async with delivering(callbacks.pool), SlowFrontEnd.running() as slow:
        await callbacks.announce(*[f"{slow.origin}/{number}" for number in range(40)])
        await eventually(lambda: slow.came == deliver_callbacks.AT_ONCE_PER_HOST)
        await callbacks.announce(*[f"{callbacks.receiver.origin}/{number}" for number in range(20)])
        for _ in range(20):
            await callbacks.receiver.next()
        assert slow.came == deliver_callbacks.AT_ONCE_PER_HOST
        slow.answers.set()
        await callbacks.until_states(*["delivered"] * 60)
        assert slow.came == 40


async def test_two_deliverers_share_the_work_and_send_nothing_twice(callbacks: CallbackPool) -> None:
    async with SlowFrontEnd.running() as front_end:
        front_end.answers.set()
        await callbacks.announce(*[f"{front_end.origin}/{number}" for number in range(100)])
        async with delivering(callbacks.pool), delivering(callbacks.pool):
            await callbacks.until_states(*["delivered"] * 100)
        assert front_end.came == 100


async def test_a_deliverer_whose_listening_connection_was_cut_still_finds_what_is_due(callbacks: CallbackPool) -> None:
    async with delivering(callbacks.pool):
        await callbacks.announce(f"{callbacks.receiver.origin}/first")
        await callbacks.receiver.next()
        await callbacks.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'meetingpool callbacks listener'"
        )
        await callbacks.announce(f"{callbacks.receiver.origin}/second")
        assert (await callbacks.receiver.next()).target == "/second"
