"""Pollers and gateways under servers that talk nonsense and databases that fall silent."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import make_url

from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import NothingSent
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.polls import add_loads, lock_servers
from meetingpool.domain.health import Thresholds
from meetingpool.domain.load import Expectation
from meetingpool.operations.record_polls import PollRules
from poller.leadership import Leadership
from poller.watch import WatchSettings
from simulator.faults import Faults
from tests.databases import execute, with_database
from tests.keys import KEYRING
from tests.pool import RunningPool, running_pool, succeeded

SETTINGS = WatchSettings(
    interval=1.0,
    connect_timeout=1.0,
    response_timeout=1.0,
    rules=PollRules(thresholds=Thresholds(), prior=Expectation(users=15, fades_after=3600), response_timeout=1.0),
)


@asynccontextmanager
async def leading(database: Database) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(Leadership(database, SETTINGS, SystemClock(), random.Random(1)).run(stop))
    try:
        yield task
    finally:
        stop.set()
        with suppress(Exception):
            await asyncio.wait_for(task, 20)


async def last_polls(pool: RunningPool) -> dict[str, object]:
    return {name: server.last_poll for name, server in (await pool.servers()).items()}


async def still_polls(pool: RunningPool, *but: str) -> bool:
    before = await last_polls(pool)
    await asyncio.sleep(3)
    after = await last_polls(pool)
    return all(before[name] != after[name] for name in before if name not in but)


@pytest.mark.parametrize("what", ["huge count", "long internal id", "many people in all"])
async def test_no_list_of_a_server_stops_the_poller(pool: RunningPool, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = pool.fleet.servers[0]
    front_end = await pool.front_end()
    for n in range(3):
        await front_end.create(f"room-{n}")
    counts = {"huge count": 99_999_999_999, "long internal id": 1, "many people in all": 2_000_000_000}
    internal = "x" * 9000 if what == "long internal id" else "int"
    names = list(odd.meetings)
    extra = ["p1", "p2"]
    document = "".join(
        f"<meeting><meetingID>{name}</meetingID><internalMeetingID>{internal}-{name}</internalMeetingID>"
        f"<participantCount>{counts[what]}</participantCount></meeting>"
        for name in names + extra
    )
    body = f"<response><returncode>SUCCESS</returncode><meetings>{document}</meetings></response>".encode()
    fetch = Client.fetch

    async def odd_fetch(self: Client, url: str, **options: object) -> bytes:
        return body if url.startswith(odd.url) and "getMeetings" in url else await fetch(self, url, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "fetch", odd_fetch)
    database = Database(pool.settings.database_url or "", name="poller", pool_size=3, keyring=KEYRING)
    async with leading(database):
        await asyncio.sleep(3)
        assert await still_polls(pool, odd.name), "what one server says keeps the others from being written"
        async with pool.database.transaction() as connection:
            epoch = await connection.fetchval("SELECT epoch FROM leases")
        assert epoch == 1, f"the leader broke and began anew {epoch - 1} times"
    await database.close()


async def test_an_error_of_the_database_that_is_not_foreseen_does_not_stop_the_poller(pool: RunningPool) -> None:
    database = Database(pool.settings.database_url or "", name="poller", pool_size=3, keyring=KEYRING)
    async with leading(database):
        await asyncio.sleep(2)
        async with pool.database.transaction() as connection:
            await connection.execute("ALTER TABLE servers RENAME COLUMN videos TO videos_")
        await asyncio.sleep(2.5)
        async with pool.database.transaction() as connection:
            await connection.execute("ALTER TABLE servers RENAME COLUMN videos_ TO videos")
        await asyncio.sleep(2)
        assert await still_polls(pool)
    await database.close()


async def test_a_server_whose_index_does_not_answer_is_online_all_the_same(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    pool.poller.forget(server.name)  # type: ignore[arg-type]
    await pool.fleet.set_faults(server, Faults(http_status=404, calls=frozenset({"index"})))
    rows = await pool.servers()
    poll = await pool.poller.poll(rows[server.name])
    assert poll.meetings is not None, poll.error


async def test_a_black_hole_is_nothing_sent_also_near_the_deadline() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
            fillers.append(filler)
        async with Client(connect_timeout=1.0) as client:
            outcomes = []
            for deadline in (0.05, 0.3, 0.6, 1.0):
                try:
                    await client.get(f"http://127.0.0.1:{port}/x", deadline=deadline)
                except Exception as error:  # noqa: BLE001
                    outcomes.append(type(error))
        for filler in fillers:
            filler.close()
    assert outcomes == [NothingSent] * 4, outcomes


@asynccontextmanager
async def silent_line(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the database that falls silent while the event is clear: bytes are taken and never delivered."""
    parsed = make_url(url)
    directory = parsed.query["host"]
    assert isinstance(directory, str)
    flows = asyncio.Event()
    flows.set()
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await flows.wait()
        up_reader, up_writer = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")
        writers.append(up_writer)
        for pair in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(pump(*pair))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"postgresql://{parsed.username}@127.0.0.1:{port}/{parsed.database}", flows
    finally:
        flows.set()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)


async def test_the_poller_stops_in_time_when_the_database_is_silent(pool: RunningPool) -> None:
    async with silent_line(pool.settings.database_url or "") as (url, flows):
        database = Database(url, name="poller", pool_size=3, keyring=KEYRING)
        stop = asyncio.Event()
        task = asyncio.create_task(Leadership(database, SETTINGS, SystemClock(), random.Random(1)).run(stop))
        await asyncio.sleep(3)
        flows.clear()
        await asyncio.sleep(3.5)
        began = time.monotonic()
        stop.set()
        await asyncio.wait([task], timeout=60)
        took = time.monotonic() - began
        closing = time.monotonic()
        await asyncio.wait([asyncio.create_task(database.close())], timeout=30)
        print("poller stop", took, "close", time.monotonic() - closing)
        assert took < 20


async def test_creates_fail_in_time_when_the_database_is_silent(database_url: str) -> None:
    async with silent_line(database_url) as (url, flows), running_pool(url) as pool:
        front_end = await pool.front_end()
        known = await front_end.create("known")
        assert succeeded(known)
        flows.clear()
        began = time.monotonic()
        answers = await asyncio.wait_for(
            asyncio.gather(*(front_end.create(f"new-{n}") for n in range(15)), return_exceptions=True), 120
        )
        took = time.monotonic() - began
        began = time.monotonic()
        await front_end.get("join", meetingID="known", fullName="Ada", password="x")
        print("creates", took, {type(a) for a in answers}, "join", time.monotonic() - began)
        flows.set()
        began = time.monotonic()
        while not succeeded(await front_end.create("after")):
            await asyncio.sleep(0.1)
        print("recovered in", time.monotonic() - began)
        assert took < 12


async def test_a_refused_login_while_the_database_starts_is_unavailable(database_url: str) -> None:
    database = Database(database_url, name="x", pool_size=1, keyring=KEYRING)
    name = make_url(database_url).database
    maintenance = with_database(database_url, "postgres")
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction():
                pass
    finally:
        await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await database.close()


async def test_joins_and_polls_written_at_once_never_wait_in_a_circle(pool: RunningPool) -> None:
    names = [server.name for server in pool.fleet.servers]
    async with pool.database.transaction() as connection:
        # Rows lie in another order than their ids, as after any update.
        for name in reversed(names):
            await connection.execute("UPDATE servers SET last_error = repeat('x', 3000) WHERE id = $1", name)
    failures = 0

    async def joins() -> None:
        nonlocal failures
        for _ in range(150):
            try:
                async with pool.database.transaction() as connection:
                    await add_loads(connection, dict.fromkeys(names, 1.0))  # type: ignore[arg-type]
            except DatabaseUnavailable as error:
                failures += 1
                print("cause:", str(error.__cause__)[:200])

    async def polls() -> None:
        nonlocal failures
        for _ in range(150):
            try:
                async with pool.database.transaction() as connection:
                    await lock_servers(connection, names)  # type: ignore[arg-type]
            except DatabaseUnavailable as error:
                failures += 1
                print("cause:", str(error.__cause__)[:200])

    await asyncio.gather(joins(), polls(), joins(), polls())
    assert failures == 0
