"""No database transaction is open while anybody waits for a server: none is checked out in any handler of one."""

import asyncio
import random

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from poller.leadership import Leadership
from poller.watch import WatchSettings
from simulator.faults import Faults
from tests.pool import FrontEnd, RunningPool


async def test_no_connection_is_checked_out_in_a_servers_handler(pool: RunningPool, front_end: FrontEnd) -> None:
    seen: set[tuple[str, int]] = set()
    pool.fleet.on_request = lambda _server, call: seen.add((call, front_end.gateway.database.checked_out))
    await pool.fleet.set_faults(pool.fleet.servers[0], Faults(refuse=True))
    for meeting_id in ("one", "two", "three", "one"):
        created = await front_end.create(meeting_id)
    await front_end.ask("getMeetingInfo", meetingID="one")
    await front_end.ask("isMeetingRunning", meetingID="one")
    await front_end.ask("getMeetings")
    await front_end.ask("end", meetingID="one", password=created.findtext("moderatorPW") or "")
    assert seen == {(call, 0) for call in ("create", "getMeetingInfo", "isMeetingRunning", "end", "getMeetings")}


async def test_no_connection_of_the_poller_is_checked_out_while_it_polls(pool: RunningPool) -> None:
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3)
    seen: set[tuple[str, int]] = set()
    pool.fleet.on_request = lambda _server, call: seen.add((call, database.checked_out))
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules)
    stop = asyncio.Event()
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    await asyncio.sleep(2.5)
    stop.set()
    await running
    await database.close()
    assert {call for call, _ in seen} == {"getMeetings", "index"}
    assert {count for _, count in seen} == {0}
