"""No database transaction is open while anybody waits for a server."""

import asyncio
import random

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from poller.leadership import Leadership
from poller.watch import WatchSettings
from simulator.faults import Faults
from tests.keys import KEYRING
from tests.pool import FrontEnd, RunningPool


async def test_a_call_holds_no_connection_while_it_waits_for_a_server(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("known")
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(latency=0.5))
    database = front_end.gateway.database
    calls: dict[str, dict[str, str]] = {
        "create": {"meetingID": "new", "name": "New"},
        "getMeetingInfo": {"meetingID": "known"},
        "isMeetingRunning": {"meetingID": "known"},
        "getMeetings": {},
        "end": {"meetingID": "known", "password": created.findtext("moderatorPW") or ""},
    }
    for call, parameters in calls.items():
        asked = asyncio.Event()
        pool.fleet.on_request = lambda _server, _call, asked=asked: asked.set()
        answer = asyncio.create_task(front_end.ask(call, **parameters))
        await asked.wait()
        # Others are told of the new meeting meanwhile, which is over in a moment.
        while database.checked_out:
            await asyncio.sleep(0.005)
        assert not answer.done(), call
        assert (await answer).findtext("returncode") == "SUCCESS"


async def test_the_poller_holds_no_connection_while_it_waits_for_a_server(pool: RunningPool) -> None:
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
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
