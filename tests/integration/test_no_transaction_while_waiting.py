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


async def test_the_poller_holds_no_connection_while_it_waits_for_a_server(pool: RunningPool) -> None:
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3)
    asked = asyncio.Event()
    pool.fleet.on_request = lambda _server, call: asked.set() if call == "getMeetings" else None
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(hang=True, calls=frozenset({"getMeetings"})))
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=30.0, rules=pool.rules)
    stop = asyncio.Event()
    leading = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    await asked.wait()
    # Its lease is renewed meanwhile, which is over in a moment; a connection held by a poll would never come back.
    while database.checked_out:
        await asyncio.sleep(0.01)
    stop.set()
    await leading
    await database.close()
