"""A create that was overtaken neither claims nor ends what is not its own."""

import asyncio

from meetingpool.operations.panic_server import panic_server
from simulator.faults import Faults
from tests.actors import SOMEBODY
from tests.faults.test_mappings import until_asked
from tests.pool import RunningPool, meeting_row, succeeded


async def test_a_copy_with_people_in_it_is_never_ended(pool: RunningPool) -> None:
    """A repeats a create at S1, which answers late; meanwhile S1 counts as dead and B takes the meeting to S2."""
    a, b = [await pool.front_end() for _ in range(2)]
    assert succeeded(await a.create("class"))
    (first,) = pool.holders("class")
    for number in range(20):
        first.add_person(first.meetings["class"], f"Person {number}")
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET state = 'lost'")
    await pool.fleet.set_faults(first, Faults(reply_delay=1.5, calls=frozenset({"create"})))
    creating = asyncio.create_task(a.create("class"))
    await until_asked(pool, "create")
    await pool.change_server(first, health="dead")
    await asyncio.sleep(0.2)
    await pool.fleet.set_faults(first, Faults(drop_before=True, calls=frozenset({"getMeetingInfo"})))
    assert succeeded(await b.create("class"))
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.server_id != first.name
    await pool.fleet.set_faults(first, Faults())
    await creating
    assert "class" in first.meetings, "20 people were thrown out"


async def test_a_repeated_create_says_success_only_for_the_meeting_that_is_mapped(pool: RunningPool) -> None:
    """A repeats a create at S1, which answers late; meanwhile S1 counts as dead and B takes the meeting to S2."""
    a, b = [await pool.front_end() for _ in range(2)]
    assert succeeded(await a.create("class"))
    (first,) = pool.holders("class")
    for number in range(20):
        first.add_person(first.meetings["class"], f"Person {number}")
    await pool.fleet.set_faults(first, Faults(reply_delay=1.5, calls=frozenset({"create"})))
    creating = asyncio.create_task(a.create("class"))
    await until_asked(pool, "create")
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET state = 'lost'")
    await pool.change_server(first, health="dead")
    await asyncio.sleep(0.2)
    await pool.fleet.set_faults(first, Faults(drop_before=True, calls=frozenset({"getMeetingInfo"})))
    assert succeeded(await b.create("class"))
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.server_id != first.name
    await pool.fleet.set_faults(first, Faults())
    assert not succeeded(await creating), "SUCCESS for the copy on the server that was given up"


async def test_what_another_create_has_confirmed_meanwhile_is_not_ended(pool: RunningPool) -> None:
    """S1 is given up with its state kept; A is overtaken; before A ends what it made, C creates it on S1 again and is told so."""
    a, c = [await pool.front_end() for _ in range(2)]
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(reply_delay=0.6, calls=frozenset({"create", "getMeetingInfo"})))
    creating = asyncio.create_task(a.create("class"))
    first = await until_asked(pool, "create")
    await panic_server(pool.database, a.gateway.client, pool.clock, SOMEBODY, first.name, keep_state=True, skip_end_calls=True)
    for server in pool.fleet.servers:
        if server is not first:
            await pool.change_server(server, admin_state="cordoned")
    await pool.fleet.set_faults(first, Faults(reply_delay=0.0))
    assert succeeded(await c.create("class"))
    await creating
    assert "class" in first.meetings, "C was told SUCCESS, and A ended it"
