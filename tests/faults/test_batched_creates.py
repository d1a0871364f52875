"""What may not become of creates that share a statement, and of the news of them, whatever happens between two of its steps."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from meetingpool.database.creates import Attempt, Confirmation, Reservation, Said, Wish, reserve, touch
from meetingpool.database.engine import Database, DatabaseUnavailable, plain_url
from meetingpool.database.meetings import find_meeting, set_state
from meetingpool.database.polls import add_joins
from meetingpool.database.several_creates import confirm_all, reserve_all, tell_placed, touch_all
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingKey, MeetingState
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import ServerId
from meetingpool.operations.panic_server import panic_server
from meetingpool.operations.together import Together
from tests.actors import SOMEBODY
from tests.integration.gateway.test_pool_view import until
from tests.keys import KEYRING
from tests.pool import FrontEnd, RunningPool, meeting_row, succeeded

A, B, C = KEYS = [MeetingKey(DEFAULT_TENANT, name) for name in ("aa", "bb", "cc")]
GATE = 4711
# Statements of a session called `meetingpool gated` have their snapshot, and lock nothing until the gate is open.
GATED = f"""
    CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') = 'meetingpool gated' THEN
            PERFORM pg_advisory_lock_shared({GATE}), pg_advisory_unlock_shared({GATE});
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON meetings FOR EACH STATEMENT EXECUTE FUNCTION wait_at_gate();
"""


async def reserved(pool: RunningPool, *keys: MeetingKey) -> dict[MeetingKey, Attempt]:
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[0].name), ceiling=float("inf"), expected=1.0)
    return {key: await reserve(pool.database, Wish(key=key, wanted=wanted, said=Said(parameters={MARK: "1"}))) for key in keys}


async def session(pool: RunningPool) -> asyncpg.Connection:
    return await asyncpg.connect(plain_url(pool.database.url))


async def row_of(pool: RunningPool, key: MeetingKey) -> asyncpg.Record:
    row = await pool.database.statement("SELECT *, ctid::text FROM meetings WHERE meeting_id = $1", key.meeting_id)
    assert row is not None
    return row


def together(database: Database) -> Together[MeetingKey, MeetingKey, Attempt | None]:
    return Together(partial(touch_all, database), partial(touch, database))


class Gate:
    """Closed: gated statements stand between their snapshot and their first lock."""

    def __init__(self, keeper: asyncpg.Connection, database: Database) -> None:
        self.keeper = keeper
        self.database = database

    async def reached(self, sessions: int = 1) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
        async with asyncio.timeout(5):
            while await self.keeper.fetchval(waiting, GATE) < sessions:
                await asyncio.sleep(0.01)

    async def open(self) -> None:
        await self.keeper.execute("SELECT pg_advisory_unlock_all()")


@pytest.fixture
async def gate(pool: RunningPool) -> AsyncIterator[Gate]:
    keeper, database = await session(pool), Database(pool.database.url, name="gated", pool_size=2, keyring=KEYRING)
    await keeper.execute(GATED)
    await keeper.execute("SELECT pg_advisory_lock($1)", GATE)
    yield Gate(keeper, database)
    await keeper.close()
    await database.close()


CHANGES = {
    "moved": "UPDATE meetings SET generation = nextval('meeting_generations'), server_id = '{other}' WHERE meeting_id = 'bb'",
    "ending": "UPDATE meetings SET state = 'ending', internal_id = 'b-0' WHERE meeting_id = 'bb'",
    "gone": "DELETE FROM meetings WHERE meeting_id = 'bb'",
    "polled": "UPDATE meetings SET users = 7 WHERE meeting_id = 'bb'",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_row_that_changed_after_the_snapshot_is_left_to_a_statement_of_its_own(
    pool: RunningPool, gate: Gate, change: str
) -> None:
    """READ COMMITTED would lock the newer version and judge it by the older one: neither batch may write it."""
    attempts = await reserved(pool, *KEYS)
    confirmations = [Confirmation(attempt=attempt, internal_id=f"{key.meeting_id}-1") for key, attempt in attempts.items()]
    touching = asyncio.create_task(touch_all(gate.database, KEYS))
    confirming = asyncio.create_task(confirm_all(gate.database, confirmations))
    await gate.reached(2)
    await pool.database.statement(CHANGES[change].format(other=pool.fleet.servers[1].name))
    before = [dict(row) for row in await pool.database.rows("SELECT * FROM meetings WHERE meeting_id = 'bb'")]
    await gate.open()
    await touching, await confirming
    assert B not in touching.result()
    assert B not in confirming.result()
    after = [dict(row) for row in await pool.database.rows("SELECT * FROM meetings WHERE meeting_id = 'bb'")]
    assert after == before
    assert {A, C} <= touching.result().keys() | confirming.result().keys()


async def test_a_batch_waits_for_nobody_and_nobody_waits_for_it_in_a_circle(pool: RunningPool, front_end: FrontEnd) -> None:
    """A poll holds b and comes for a and c afterwards: the batch has passed by then, and only b's own create waited."""
    attempts = await reserved(pool, *KEYS)
    placer = front_end.gateway.placer
    polling = await session(pool)
    await polling.execute("BEGIN; SELECT FROM meetings WHERE meeting_id = 'bb' FOR UPDATE")
    # Whoever comes first asks alone.
    await placer.touches.ask(A, A)
    a, b, c = [asyncio.create_task(placer.touches.ask(key, key)) for key in KEYS]
    async with asyncio.timeout(3):
        await asyncio.gather(a, c)
    assert not b.done()
    async with asyncio.timeout(3):
        await polling.execute("UPDATE meetings SET users = 1 WHERE meeting_id IN ('aa', 'cc')")
        await polling.execute("COMMIT")
        await b
    await polling.close()
    touched = [task.result() for task in (a, b, c)]
    assert [attempt and attempt.meeting.generation for attempt in touched] == [
        attempt.meeting.generation for attempt in attempts.values()
    ]
    counts = await pool.database.rows("SELECT open_attempts FROM meetings ORDER BY meeting_id")
    assert [row["open_attempts"] for row in counts] == [3, 2, 2]


async def test_a_database_that_goes_away_under_a_batch_is_everybody_s_outage_and_nobody_s_connection(
    pool: RunningPool, gate: Gate
) -> None:
    await reserved(pool, *KEYS)
    group = together(gate.database)
    asking = [asyncio.create_task(group.ask(key, key)) for key in KEYS]
    await gate.reached(2)
    await gate.keeper.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'meetingpool gated'"
    )
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
    await gate.open()
    assert gate.database.checked_out == gate.database.callers == 0
    assert (await touch_all(gate.database, KEYS)).keys() == set(KEYS)


async def test_whoever_gives_up_in_a_statement_leaves_neither_a_transaction_nor_a_connection_behind(
    pool: RunningPool, gate: Gate
) -> None:
    await reserved(pool, *KEYS)

    async def in_transaction() -> None:
        async with gate.database.transaction() as connection:
            await connection.execute("SELECT FROM meetings WHERE meeting_id = 'cc' FOR UPDATE")
            await connection.execute("UPDATE meetings SET users = 9")

    for doing in (in_transaction(), touch_all(gate.database, KEYS)):
        task: asyncio.Task[object] = asyncio.create_task(doing)
        await gate.reached()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await until(lambda: gate.database.checked_out == 0)
        assert gate.database.callers == 0
    assert (
        await gate.keeper.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meetingpool gated' AND state <> 'idle'"
        )
        == 0
    )
    await gate.open()
    assert (await touch_all(gate.database, KEYS)).keys() == set(KEYS)


async def test_a_process_that_stops_leaves_nobody_waiting_for_a_batch(pool: RunningPool, gate: Gate) -> None:
    await reserved(pool, *KEYS)
    group = together(gate.database)
    asking = [asyncio.create_task(group.ask(key, key)) for key in KEYS]
    await gate.reached(2)
    async with asyncio.timeout(10):
        await gate.database.close()
        answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3


def overtaken(
    ask: Callable[..., Awaitable[Any]], overtake: Callable[[], Coroutine[Any, Any, None]]
) -> Callable[..., Awaitable[Any]]:
    """`ask`, whose answer is in hand only after `overtake`, as when the event loop was busy with others."""

    async def asking(*arguments: Any) -> Any:
        answer = await ask(*arguments)
        await overtake()
        return answer

    return asking


async def give_up(pool: RunningPool, told: FrontEnd, key: MeetingKey) -> None:
    """Forgets the meetings of the server that has `key`, which stays enabled; returns when `told` has heard of it."""
    view = told.gateway.view.pool
    (first,) = pool.holders(key.meeting_id)
    known = ServerId(first.name)
    await panic_server(pool.database, told.gateway.client, pool.clock, SOMEBODY, known, keep_state=True, skip_end_calls=True)
    await until(lambda: key not in view.meetings and view.servers[known].takes_new_meetings)


async def test_a_touch_that_is_overtaken_by_the_end_of_its_mapping_is_no_proof_of_it(pool: RunningPool) -> None:
    """X touches; the mapping is given up and X told so; only then is the touch's answer in hand: it is older than the news."""
    x, y = [await pool.front_end() for _ in range(2)]
    view = x.gateway.view.pool
    await y.create("aa")
    await until(lambda: (known := view.meetings.get(A)) is not None and known.state is MeetingState.LIVE)
    touches = x.gateway.placer.touches
    touches._ask = overtaken(touches._ask, partial(give_up, pool, x, A))  # noqa: SLF001
    answer = await x.create("aa")
    touches._ask = partial(touch, x.gateway.database)  # noqa: SLF001
    row = await meeting_row(pool.database, "aa")
    if succeeded(answer):
        assert row is not None, "SUCCESS names a meeting that is not mapped"
    assert (A in view.meetings) == (row is not None), "a meeting that is gone is known for ever"


async def test_a_confirmation_that_is_overtaken_by_the_end_of_its_mapping_is_no_proof_of_it(pool: RunningPool) -> None:
    """As with a touch; the repeats of five seconds, which are not written, would say SUCCESS of nothing."""
    x = await pool.front_end()
    confirmations = x.gateway.placer.confirmations
    ask = confirmations._ask  # noqa: SLF001
    confirmations._ask = overtaken(ask, partial(give_up, pool, x, A))  # noqa: SLF001
    await x.create("aa", attendeePW="ap", moderatorPW="mp")
    confirmations._ask = ask  # noqa: SLF001
    answer = await x.create("aa", attendeePW="ap", moderatorPW="mp")
    row = await meeting_row(pool.database, "aa")
    assert succeeded(answer)
    assert row is not None, "SUCCESS names a meeting that is not mapped"
    assert row.internal_id == answer.findtext("internalMeetingID")


async def test_an_end_that_is_told_before_the_confirmation_is_in_hand_is_not_forgotten(pool: RunningPool) -> None:
    x = await pool.front_end()
    key = MeetingKey(DEFAULT_TENANT, "ended")
    view = x.gateway.view.pool

    async def end() -> None:
        async with pool.database.transaction() as connection:
            meeting = await find_meeting(connection, key)
            assert meeting is not None
            await set_state(connection, meeting, MeetingState.ENDING, allowed=[MeetingState.LIVE])
        await until(lambda: view.meetings[key].state is MeetingState.ENDING)

    confirmations = x.gateway.placer.confirmations
    confirmations._ask = overtaken(confirmations._ask, end)  # noqa: SLF001
    await x.create("ended", attendeePW="ap", moderatorPW="mp")
    assert view.meetings[key].state is MeetingState.ENDING


async def test_news_and_what_changes_at_the_same_moment_arrive_in_their_order(pool: RunningPool, front_end: FrontEnd) -> None:
    """Whoever is told last is told what is: a meeting that ended is not told of as live afterwards."""
    view = front_end.gateway.view.pool
    await reserved(pool, A)
    for number in range(60):
        await pool.database.statement("UPDATE meetings SET state = 'live', internal_id = $1", f"a-{number}")
        row = await meeting_row(pool.database, "aa")
        assert row is not None
        await asyncio.gather(*(tell_placed(pool.database, [A]) for _ in range(3)), _end(pool.database, row))
        await until(lambda: (known := view.meetings.get(A)) is not None and known.internal_id == f"a-{number}")  # noqa: B023
        await until(lambda: view.meetings[A].state is MeetingState.ENDING)


async def _end(database: Database, meeting: Meeting) -> None:
    async with database.transaction() as connection:
        await set_state(connection, meeting, MeetingState.ENDING, allowed=[MeetingState.LIVE])


@pytest.fixture
async def stopped() -> AsyncIterator[asyncio.Event]:
    """Set when a gateway tells its process to stop, which is that of the tests here."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    yield stopped
    loop.remove_signal_handler(signal.SIGTERM)


async def test_an_internal_id_that_does_not_fit_into_a_notification_stops_no_gateway(
    stopped: asyncio.Event, pool: RunningPool
) -> None:
    """A server makes its ids up. PostgreSQL notifies of less than 8,000 bytes, and a gateway whose news broke stops."""
    x, y = [await pool.front_end() for _ in range(2)]
    for server in pool.fleet.servers:
        server.create_meeting("endless").internal_id = "x" * 8_000
    await x.create("endless")
    assert succeeded(await x.create("after"))
    key = MeetingKey(DEFAULT_TENANT, "after")
    with suppress(TimeoutError):
        await until(lambda: stopped.is_set() or key in y.gateway.view.pool.meetings, 3)
    assert not stopped.is_set(), "one answer of one server stopped the gateway"
    assert key in y.gateway.view.pool.meetings


async def test_joins_of_a_meeting_that_somebody_holds_are_counted_the_next_time(pool: RunningPool) -> None:
    await reserved(pool, A)
    telling = await session(pool)
    await telling.execute("BEGIN; SELECT FROM meetings FOR SHARE")
    async with pool.database.transaction() as connection:
        assert await add_joins(connection, {A: 2}) == set()
    await telling.execute("COMMIT")
    await telling.close()
    async with pool.database.transaction() as connection:
        assert await add_joins(connection, {A: 2}) == {A}
    assert (await row_of(pool, A))["joining"] == 2


class Wire:
    """A way to the database that can fall silent, as a firewall that forgot its connections."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self.passes = asyncio.Event()
        self.passes.set()
        self.carrying: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self.socket)
        for way in (self.carry(reader, there_writer), self.carry(there_reader, writer)):
            self.carrying.add(asyncio.create_task(way))

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self.passes.wait()
                    writer.write(data)
        finally:
            writer.close()


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire, and the URL of the database at its end."""
    parts = urlsplit(plain_url(url))
    query = parse_qs(parts.query)
    wire = Wire(f"{query['host'][0]}/.s.PGSQL.{parts.port or query.get('port', ['5432'])[0]}")
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.username or query.get("user", ["postgres"])[0]
    try:
        yield wire, f"postgresql://{user}:{parts.password or ''}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        server.close()
        for way in wire.carrying:
            way.cancel()
        await asyncio.gather(*wire.carrying, return_exceptions=True)


async def test_a_database_that_falls_silent_hangs_nobody(pool: RunningPool) -> None:
    await reserved(pool, *KEYS)
    async with wire_to(pool.database.url) as (wire, url):
        database = Database(url, name="silent", pool_size=1, keyring=KEYRING)
        assert (await touch_all(database, KEYS)).keys() == set(KEYS)
        wire.passes.clear()
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*(touch_all(database, [key]) for key in KEYS), return_exceptions=True)
        assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
        assert database.callers == 0
        wire.passes.set()
        async with asyncio.timeout(10):
            assert (await touch_all(database, KEYS)).keys() == set(KEYS)
        await database.close()


async def test_a_batch_does_not_wait_for_a_meeting_that_is_known_and_being_written(pool: RunningPool) -> None:
    await reserve(pool.database, wish(pool, 0, A))
    polling = await session(pool)
    await polling.execute("BEGIN; UPDATE meetings SET users = 3 WHERE meeting_id = 'aa'")
    try:
        async with asyncio.timeout(2):
            found = await reserve_all(pool.database, [wish(pool, 1, A), wish(pool, 2, B)])
    finally:
        await polling.execute("ROLLBACK")
        await polling.close()
    assert {attempt.meeting.key for attempt in found.values()} == {B}


def wish(pool: RunningPool, server: int, key: MeetingKey) -> Wish:
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[server].name), ceiling=float("inf"), expected=1.0)
    return Wish(key=key, wanted=wanted, said=Said(parameters={MARK: "1"}))
