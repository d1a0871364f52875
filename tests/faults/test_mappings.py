"""What may not become of a mapping, whatever is late, repeated or overtaken."""

import asyncio

import asyncpg

from meetingpool.bbb.meetings import read_poll
from meetingpool.database.engine import plain_url
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingKey, MeetingState, host_id_of
from meetingpool.domain.servers import AdminState, Health, ServerId
from meetingpool.operations.panic_server import panic_server
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.actors import SOMEBODY
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, running_pool, succeeded

CREATE = frozenset({"create"})


def key(name: str) -> MeetingKey:
    return MeetingKey(DEFAULT_TENANT, name)


async def until_asked(pool: RunningPool, call: str) -> SimulatedServer:
    asked: asyncio.Future[SimulatedServer] = asyncio.get_running_loop().create_future()

    def note(server: SimulatedServer, name: str) -> None:
        if name == call and not asked.done():
            asked.set_result(server)

    pool.fleet.on_request = note
    return await asyncio.wait_for(asked, 5)


async def age(pool: RunningPool, name: str, seconds: float) -> None:
    async with pool.database.transaction() as connection:
        await connection.execute(
            "UPDATE meetings SET attempted_at = attempted_at - make_interval(secs => $1) WHERE meeting_id = $2", seconds, name
        )


async def test_an_overtaken_create_does_not_drop_the_reservation_of_its_successor(pool: RunningPool) -> None:
    """A is at S1 when S1 is panicked; B reserves on S2; S1 refuses A: A withdraws B's row, because both are generation 1."""
    a, b, c = [await pool.front_end() for _ in range(3)]
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(latency=0.8, http_status=404, calls=CREATE))
    creating_a = asyncio.create_task(a.create("aba"))
    first = await until_asked(pool, "create")
    for server in pool.fleet.servers:
        if server is not first:
            await pool.fleet.set_faults(server, Faults(reply_delay=1.6, calls=CREATE))
    await panic_server(pool.database, a.gateway.client, pool.clock, SOMEBODY, first.name, skip_end_calls=True)
    await asyncio.sleep(0.1)
    creating_b = asyncio.create_task(b.create("aba"))
    await creating_a
    await asyncio.sleep(0.1)
    row = await meeting_row(pool.database, "aba")
    assert row is not None, "A's withdrawal deleted B's reservation while B's create was under way"
    assert succeeded(await creating_b)
    await c.create("aba")
    assert len(pool.holders("aba")) == 1


async def test_an_overtaken_create_does_not_confirm_its_successors_row(pool: RunningPool) -> None:
    """A is answered by S1 after S1 was given up and B has the meeting on S2: A must not say SUCCESS with S1's meeting."""
    a, b = [await pool.front_end() for _ in range(2)]
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(reply_delay=0.8, calls=CREATE))
    creating_a = asyncio.create_task(a.create("aba"))
    first = await until_asked(pool, "create")
    for server in pool.fleet.servers:
        if server is not first:
            await pool.fleet.set_faults(server, NO_FAULTS)
    await panic_server(pool.database, a.gateway.client, pool.clock, SOMEBODY, first.name, skip_end_calls=True)
    await asyncio.sleep(0.1)
    answer_b = await b.create("aba")
    assert succeeded(answer_b)
    answer_a = await creating_a
    row = await meeting_row(pool.database, "aba")
    assert row is not None
    assert row.server_id != first.name
    assert row.internal_id == answer_b.findtext("internalMeetingID"), "A overwrote B's internal id"
    assert not succeeded(answer_a), "A said SUCCESS for a meeting that is mapped elsewhere"


async def test_a_gateway_behind_with_its_news_does_not_drop_a_mapping_to_another_server(pool: RunningPool) -> None:
    """X believes S1 has it (news held up); the row is on S2 by now. X's getMeetingInfo at S1 says notFound."""
    x, y = [await pool.front_end() for _ in range(2)]
    await x.create("moved")
    await asyncio.sleep(0.1)
    (first,) = pool.holders("moved")
    x.gateway.view._held_back = []  # noqa: SLF001 notifications are late from now on
    await panic_server(pool.database, y.gateway.client, pool.clock, SOMEBODY, first.name)
    await asyncio.sleep(0.1)
    assert succeeded(await y.create("moved"))
    await age(pool, "moved", 60)
    (second,) = pool.holders("moved")
    assert second is not first
    await x.ask("getMeetingInfo", meetingID="moved")
    assert await meeting_row(pool.database, "moved") is not None, "a live mapping to S2 was dropped on S1's word"


async def test_a_retry_that_is_refused_with_failed_does_not_undo_the_first_request(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    """The first request was carried out and its reply lost; the repeat is answered FAILED: the outcome stays unknown."""
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_after=True, calls=CREATE))

    def then_fail(server: SimulatedServer, call: str) -> None:
        if call == "create" and server.count("create") == 1:
            server.faults = Faults(body="failed", calls=CREATE)

    pool.fleet.on_request = then_fail
    await front_end.create("twice")
    (holder,) = pool.holders("twice")
    assert await meeting_row(pool.database, "twice") is not None, "dropped although S1 has it"
    pool.fleet.on_request = None
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, NO_FAULTS)
    await pool.change_server(holder, load=50.0)
    await asyncio.sleep(0.1)
    await front_end.create("twice")
    assert pool.holders("twice") == [holder]


async def test_a_create_whose_reservation_took_too_long_is_not_sent_any_more(database_url: str) -> None:
    """The reservation's transaction takes longer than a create may (a slow database): a poll might drop the row at once."""
    async with running_pool(database_url, response_timeout=0.5) as pool:
        front_end = await pool.front_end()
        async with pool.database.transaction() as connection:
            await connection.execute(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'"
            )
            await connection.execute(
                "CREATE TRIGGER slow BEFORE INSERT ON meetings FOR EACH ROW WHEN (NEW.meeting_id = 'late')"
                " EXECUTE FUNCTION slow()"
            )
        creating = asyncio.create_task(front_end.create("late"))
        assert key_of(await creating) == "internalError"
        assert pool.holders("late") == []
        assert await meeting_row(pool.database, "late") is None


async def test_a_meeting_created_again_after_its_end_is_not_ending(pool: RunningPool, front_end: FrontEnd) -> None:
    """End, then a create whose reply is lost. The server lists the new meeting: it is live, and keeps its server in the pool."""
    answer = await front_end.create("again")
    (holder,) = pool.holders("again")
    await front_end.ask("end", meetingID="again", password=answer.findtext("moderatorPW") or "")
    await pool.fleet.set_faults(holder, Faults(drop_after=True, calls=CREATE))
    await front_end.create("again")
    await pool.fleet.set_faults(holder, NO_FAULTS)
    assert pool.holders("again") == [holder]
    await pool.poll()
    row = await meeting_row(pool.database, "again")
    assert row is not None
    assert row.state is MeetingState.LIVE


async def test_a_late_end_does_not_mark_the_next_meeting_of_that_id(pool: RunningPool) -> None:
    x, y = [await pool.front_end() for _ in range(2)]
    answer = await x.create("late-end")
    (holder,) = pool.holders("late-end")
    await pool.fleet.set_faults(holder, Faults(reply_delay=0.5, calls=frozenset({"end"})))
    ending = asyncio.create_task(x.ask("end", meetingID="late-end", password=answer.findtext("moderatorPW") or ""))
    await asyncio.sleep(0.2)
    assert succeeded(await y.create("late-end"))
    await ending
    await pool.poll()
    row = await meeting_row(pool.database, "late-end")
    assert row is not None
    assert pool.holders("late-end") == [holder]
    assert row.state is MeetingState.LIVE


async def test_a_look_up_that_is_overtaken_by_news_leaves_nothing_stale(pool: RunningPool) -> None:
    """X reads the row on a miss; before it notes it, the row is dropped and X is told so. X must not keep it for ever."""
    x, y = [await pool.front_end() for _ in range(2)]
    await y.create("stale")
    (first,) = pool.holders("stale")
    await asyncio.sleep(0.1)
    view = x.gateway.view
    view.pool.forget_meeting(key("stale"), 1, "stale")
    transaction = view._database.transaction  # noqa: SLF001

    class Slow:
        def __init__(self) -> None:
            self.inner = transaction()

        async def __aenter__(self) -> object:
            return await self.inner.__aenter__()

        async def __aexit__(self, *details: object) -> object:
            done = await self.inner.__aexit__(*details)  # type: ignore[arg-type]
            await panic_server(pool.database, y.gateway.client, pool.clock, SOMEBODY, first.name)
            await asyncio.sleep(0.1)
            await y.create("stale")
            await asyncio.sleep(0.2)
            return done

    view._database.transaction = lambda: Slow()  # type: ignore[method-assign, assignment, return-value]  # noqa: SLF001
    await view.find(key("stale"))
    view._database.transaction = transaction  # type: ignore[method-assign]  # noqa: SLF001
    await asyncio.sleep(0.3)
    await pool.poll()
    await asyncio.sleep(0.2)
    row = await meeting_row(pool.database, "stale")
    assert row is not None
    known = view.pool.meetings.get(key("stale"))
    assert known is None or known.server_id == row.server_id, "X sends people to the server that was given up"


async def test_a_stale_entry_without_a_row_goes_when_its_server_says_notfound(pool: RunningPool, front_end: FrontEnd) -> None:
    server = pool.fleet.servers[0]
    ghost = Meeting(key=key("ghost"), server_id=ServerId(server.name), generation=1, state=MeetingState.LIVE)
    front_end.gateway.view.pool.put_meeting(ghost, host_id_of(ghost.key))
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="ghost")) == "notFound"
    assert key("ghost") not in front_end.gateway.view.pool.meetings


async def test_a_view_that_still_says_dead_does_not_move_a_meeting_off_a_server_that_came_back(pool: RunningPool) -> None:
    x, y = [await pool.front_end() for _ in range(2)]
    await y.create("back")
    (holder,) = pool.holders("back")
    await asyncio.sleep(0.1)
    view = x.gateway.view
    view._held_back = []  # noqa: SLF001 news are late from now on
    server = view.pool.servers[ServerId(holder.name)]
    view.pool.set_status(server.id, load=None, health=Health.DEAD, admin_state=server.admin_state)
    await pool.fleet.set_faults(holder, Faults(hang=True, calls=frozenset({"getMeetingInfo"})))
    await x.create("back")
    assert pool.holders("back") == [holder]


async def test_a_server_list_that_could_not_be_read_at_once_is_read_again(pool: RunningPool, front_end: FrontEnd) -> None:
    view = front_end.gateway.view
    server = pool.fleet.servers[0]
    blocking = await asyncpg.connect(plain_url(pool.database.url))
    await blocking.execute("BEGIN; LOCK TABLE servers IN ACCESS EXCLUSIVE MODE")
    view._changed.set()  # noqa: SLF001
    async with asyncio.timeout(12):
        while not view._database.checked_out:  # noqa: SLF001
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
    # The read is cut off by its statement timeout; a lock held by a migration or VACUUM FULL does this.
    await blocking.execute("UPDATE servers SET tags = '{gpu}' WHERE id = $1", server.name)
    await asyncio.sleep(8.5)
    await blocking.execute("COMMIT")
    await blocking.close()
    await asyncio.sleep(3)
    assert view.pool.servers[ServerId(server.name)].tags == {"gpu"}


async def test_panic_leaves_no_meeting_running_that_was_created_while_it_went_on(pool: RunningPool) -> None:
    x, y = [await pool.front_end() for _ in range(2)]
    await x.create("panicked")
    (holder,) = pool.holders("panicked")
    for n in range(12):
        holder.create_meeting(f"other-{n}")
        async with pool.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, expected_users)"
                " VALUES ('default', $1, $1, $2, 'live', 0)",
                f"other-{n}",
                holder.name,
            )
    await pool.fleet.set_faults(holder, Faults(reply_delay=0.4, calls=frozenset({"end"})))
    panicking = asyncio.create_task(panic_server(pool.database, y.gateway.client, pool.clock, SOMEBODY, holder.name))
    await asyncio.sleep(0.6)
    answer = await x.create("panicked")
    await panicking
    await asyncio.sleep(0.2)
    await y.create("panicked")
    assert len(pool.holders("panicked")) == 1, f"the create during the panic said {answer.findtext('returncode')}"


async def test_a_server_that_pads_ids_with_blanks_keeps_its_meetings(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("padded")
    (holder,) = pool.holders("padded")
    rows = await pool.servers()
    poll = await pool.poller.poll(rows[holder.name])
    assert poll.meetings
    await age(pool, "padded", 60)
    listed = read_poll(
        b"<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>\n  padded\n</meetingID>"
        b"<internalMeetingID>x</internalMeetingID></meeting></meetings></response>"
    )
    assert listed[0].meeting_id == "padded"


async def test_ids_that_xml_cannot_hold_are_refused_or_cleaned(pool: RunningPool, front_end: FrontEnd) -> None:
    answer = await front_end.create("ab\ufffe")
    if succeeded(answer):
        await pool.poll()
        await age(pool, "ab\ufffe", 60)
        await age(pool, "ab", 60)
        await pool.poll()
        left = await meeting_row(pool.database, "ab\ufffe") or await meeting_row(pool.database, "ab")
        assert left is not None, "it runs, and its mapping was dropped because the list cannot name it"


async def test_a_disabled_server_is_never_given_a_meeting(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("soon")
    (holder,) = pool.holders("soon")
    holder.end(holder.meetings["soon"])
    await pool.change_server(holder, admin_state=AdminState.DISABLED)
    await asyncio.sleep(0.2)
    await front_end.create("soon")
    assert "soon" not in holder.meetings
