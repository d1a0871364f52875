"""Servers have a webhook of ours as long as a front end has one here, whatever they forget; and nothing else is touched."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.domain.hooks import HookForm, hook_path
from meetingpool.domain.servers import AdminState, Health, ServerId
from poller.hook_registration import CHECK_EVERY, CHECK_RARELY
from poller.leadership import Leadership
from poller.watch import WatchSettings
from simulator.faults import Faults
from simulator.server import SimulatedServer
from tests.hooks import SettableClock, registration
from tests.integration.simulator.receiving import eventually
from tests.keys import KEYRING
from tests.logs import Event, names_of
from tests.pool import FrontEnd, RunningPool, running_pool, succeeded

BASE_URL = "https://pool.example.org"
URL = "https://lms.example.org/events"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, public_url=BASE_URL) as pool:
        yield pool


@pytest.fixture
async def front_end(pool: RunningPool) -> FrontEnd:
    return await pool.front_end()


@asynccontextmanager
async def leading(pool: RunningPool) -> AsyncIterator[None]:
    """A poller that leads."""
    stop = asyncio.Event()
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules, base_url=BASE_URL)
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await database.close()


async def hook_at(front_end: FrontEnd, url: str = URL, **parameters: str) -> str:
    answer = await front_end.ask("hooks/create", callbackURL=url, **parameters)
    assert succeeded(answer)
    return answer.findtext("hookID") or ""


def address(front_end: FrontEnd, server: SimulatedServer, form: HookForm = HookForm.PROCESSED, base_url: str = BASE_URL) -> str:
    return base_url + hook_path(front_end.gateway.placer.callback_key, ServerId(server.name), form)


def registered(server: SimulatedServer) -> list[tuple[str, bool]]:
    return sorted((hook.callback_url, hook.wants_raw) for hook in server.hooks.values())


def asked(pool: RunningPool, call: str = "hooks/list") -> list[int]:
    return [server.count(call) for server in pool.fleet.servers]


async def test_servers_have_a_hook_of_ours_while_a_front_end_has_one(pool: RunningPool, front_end: FrontEnd) -> None:
    async with registration(pool) as hooks:
        await hooks.look()
        assert asked(pool) == [0, 0, 0]
        one, other = await hook_at(front_end), await hook_at(front_end, f"{URL}2", meetingID="room")
        await hooks.look()
        for server in pool.fleet.servers:
            assert registered(server) == [(address(front_end, server), False)]
            (hook,) = server.hooks.values()
            assert (hook.meeting_id, hook.event_ids) == (None, ())
        await front_end.ask("hooks/destroy", hookID=one)
        await hooks.look()
        assert [len(server.hooks) for server in pool.fleet.servers] == [1, 1, 1]
        await front_end.ask("hooks/destroy", hookID=other)
        await hooks.look()
        assert [len(server.hooks) for server in pool.fleet.servers] == [0, 0, 0]
        assert asked(pool, "hooks/create") == asked(pool, "hooks/destroy") == [1, 1, 1]


async def test_raw_events_are_asked_for_while_somebody_wants_them(pool: RunningPool, front_end: FrontEnd) -> None:
    (server, *_) = pool.fleet.servers
    async with registration(pool) as hooks:
        raw = await hook_at(front_end, getRaw="true")
        await hooks.look()
        assert registered(server) == sorted(
            [(address(front_end, server), False), (address(front_end, server, HookForm.RAW), True)]
        )
        await hook_at(front_end, f"{URL}2")
        await front_end.ask("hooks/destroy", hookID=raw)
        await hooks.look()
        assert registered(server) == [(address(front_end, server), False)]


async def test_what_others_registered_on_a_server_stays(pool: RunningPool, front_end: FrontEnd) -> None:
    (server, other, _) = pool.fleet.servers
    foreign = [
        "https://somebody.example/hook",
        # Of another installation, and of another server.
        BASE_URL + hook_path(b"another key", ServerId(server.name), HookForm.PROCESSED),
        address(front_end, other),
    ]
    for url in foreign:
        server.add_hook(url)
    async with registration(pool) as hooks:
        hook_id = await hook_at(front_end)
        await hooks.look()
        await front_end.ask("hooks/destroy", hookID=hook_id)
        await hooks.look()
    assert [hook.callback_url for hook in server.hooks.values()] == foreign


async def test_a_hook_of_ours_that_is_not_as_it_should_be_is_replaced(pool: RunningPool, front_end: FrontEnd) -> None:
    elsewhere, limited, raw = pool.fleet.servers
    elsewhere.add_hook(address(front_end, elsewhere, base_url="http://old.example.org"))
    limited.add_hook(address(front_end, limited), event_ids=("user-left",))
    raw.add_hook(address(front_end, raw), wants_raw=True)
    await hook_at(front_end)
    async with registration(pool) as hooks:
        await hooks.look()
    for server in pool.fleet.servers:
        assert registered(server) == [(address(front_end, server), False)]
        (hook,) = server.hooks.values()
        assert hook.event_ids == ()
    # Where the old one is not in the way, nothing is missed meanwhile.
    calls = [received.call for received in elsewhere.requests if received.call.startswith("hooks/")]
    assert calls == ["hooks/list", "hooks/create", "hooks/destroy"]


async def test_a_server_that_forgot_its_hooks_has_them_again_within_a_minute(pool: RunningPool, front_end: FrontEnd) -> None:
    (server, *_) = pool.fleet.servers
    clock = SettableClock()
    await hook_at(front_end)
    async with registration(pool, clock) as hooks:
        await hooks.look()
        await pool.fleet.restart(server, keep_state=False)
        assert server.hooks == {}
        clock.now += CHECK_EVERY / 2
        await hooks.look()
        assert asked(pool) == [1, 1, 1]
        clock.now += CHECK_EVERY / 2
        await hooks.look()
        assert registered(server) == [(address(front_end, server), False)]
        assert asked(pool, "hooks/create") == [2, 1, 1]


async def test_a_server_that_was_away_is_seen_to_as_soon_as_it_is_back(pool: RunningPool, front_end: FrontEnd) -> None:
    (server, *_) = pool.fleet.servers
    await hook_at(front_end)
    async with registration(pool, SettableClock()) as hooks:
        await hooks.look()
        await pool.fleet.restart(server, keep_state=False)
        for health in (Health.OFFLINE, Health.ONLINE):
            await pool.change_server(server, health=health)
            await hooks.look()
        assert len(server.hooks) == 1
    assert asked(pool) == [2, 1, 1]


async def test_a_disabled_server_has_no_hook_of_ours_and_a_cordoned_one_has(pool: RunningPool, front_end: FrontEnd) -> None:
    disabled, cordoned, offline = pool.fleet.servers
    clock = SettableClock()
    await hook_at(front_end)
    async with registration(pool, clock) as hooks:
        await pool.change_server(offline, health=Health.OFFLINE)
        await pool.change_server(cordoned, admin_state=AdminState.CORDONED)
        await hooks.look()
        await pool.change_server(disabled, admin_state=AdminState.DISABLED)
        for _ in range(3):
            await hooks.look()
            clock.now += CHECK_EVERY
        assert [len(server.hooks) for server in pool.fleet.servers] == [0, 1, 0]
        # Once it has nothing of ours, it is left alone.
        assert asked(pool) == [2, 3, 0]
        await pool.change_server(disabled, admin_state=AdminState.ENABLED)
        await hooks.look()
        assert len(disabled.hooks) == 1


async def test_a_server_without_webhooks_is_asked_rarely_and_told_of_once(
    pool: RunningPool, front_end: FrontEnd, logged: list[Event]
) -> None:
    (server, *_) = pool.fleet.servers
    server.has_webhooks = False
    looks: list[str] = []
    pool.fleet.on_request = lambda asked, call: looks.append(call) if asked is server else None
    clock = SettableClock()
    await hook_at(front_end)
    async with registration(pool, clock) as hooks:
        for _ in range(5):
            await hooks.look()
            clock.now += CHECK_EVERY
        await hook_at(front_end, f"{URL}2", getRaw="true")
        await hooks.look()
        assert looks == ["hooks/list"]
        server.has_webhooks = True
        clock.now += CHECK_RARELY
        await hooks.look()
        assert len(server.hooks) == 2
    assert names_of(logged).count("server_without_webhooks") == 1


@pytest.mark.parametrize(
    "faults", [Faults(http_status=502), Faults(drop_before=True), Faults(body="garbage"), Faults(body="failed")]
)
async def test_a_server_whose_webhooks_fail_is_asked_again_and_told_of_once(
    pool: RunningPool, front_end: FrontEnd, faults: Faults, logged: list[Event]
) -> None:
    (server, *others) = pool.fleet.servers
    clock = SettableClock()
    await hook_at(front_end)
    await pool.fleet.set_faults(server, faults)
    async with registration(pool, clock) as hooks:
        for _ in range(3):
            await hooks.look()
            clock.now += CHECK_EVERY
        assert [len(other.hooks) for other in others] == [1, 1]
        await pool.fleet.set_faults(server, Faults())
        await hooks.look()
        assert len(server.hooks) == 1
    assert names_of(logged).count("hooks_not_registered") == 1
    assert server.secret not in str(logged)


async def test_a_server_whose_secret_was_corrected_is_seen_to_at_once(pool: RunningPool, front_end: FrontEnd) -> None:
    (server, *_) = pool.fleet.servers
    await hook_at(front_end)
    async with registration(pool, SettableClock()) as hooks:
        await pool.change_server(server, secret="wrong")
        await hooks.look()
        assert server.hooks == {}
        await pool.change_server(server, secret=server.secret)
        await hooks.look()
        assert len(server.hooks) == 1


async def test_where_no_address_is_configured_the_one_that_a_front_end_used_is_registered(database_url: str) -> None:
    async with running_pool(database_url, servers=1) as pool, registration(pool) as hooks:
        front_end = await pool.front_end()
        await hook_at(front_end)
        await hooks.look()
        (server,) = pool.fleet.servers
        assert registered(server) == [(address(front_end, server, base_url="http://gateway"), False)]


async def test_no_connection_is_held_while_a_server_is_asked(pool: RunningPool, front_end: FrontEnd) -> None:
    seen: set[tuple[str, int]] = set()
    pool.fleet.on_request = lambda _server, call: seen.add((call, pool.database.checked_out))
    hook_id = await hook_at(front_end)
    async with registration(pool) as hooks:
        await hooks.look()
        await front_end.ask("hooks/destroy", hookID=hook_id)
        await hooks.look()
    assert seen == {("hooks/list", 0), ("hooks/create", 0), ("hooks/destroy", 0)}


async def test_the_leader_registers_at_once_what_front_ends_need(pool: RunningPool, front_end: FrontEnd) -> None:
    async with leading(pool):
        await eventually(lambda: all(server.count("getMeetings") >= 2 for server in pool.fleet.servers))
        hook_id = await hook_at(front_end)
        await eventually(lambda: all(server.hooks for server in pool.fleet.servers))
        await front_end.ask("hooks/destroy", hookID=hook_id)
        await eventually(lambda: not any(server.hooks for server in pool.fleet.servers))
        await hook_at(front_end)
        await pool.change_server(pool.fleet.servers[0], admin_state=AdminState.DISABLED)
        await eventually(lambda: [len(server.hooks) for server in pool.fleet.servers] == [0, 1, 1])


async def test_webhooks_that_hang_delay_no_poll(pool: RunningPool, front_end: FrontEnd) -> None:
    hanging, *_ = pool.fleet.servers
    await pool.fleet.set_faults(hanging, Faults(hang=True, calls=frozenset({"hooks/list"})))
    hung: list[str] = []
    pool.fleet.on_request = lambda server, call: hung.append(call) if server is hanging else None
    async with leading(pool):
        await eventually(lambda: "getMeetings" in hung)
        await hook_at(front_end)
        await eventually(lambda: "hooks/list" in hung)
        before = hung.count("getMeetings")
        await eventually(lambda: hung.count("getMeetings") >= before + 2)
        assert hung.count("hooks/list") == 1
        async with pool.database.transaction() as connection:
            healths = [row[0] for row in await connection.fetch("SELECT DISTINCT health FROM servers")]
        assert healths == ["online"]
