"""create: one meeting per id, on the server with the most room, whatever is lost on the way."""

import asyncio

from meetingpool.domain.meetings import MeetingState
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, running_pool, succeeded

CREATE = frozenset({"create"})


async def test_a_new_meeting_lands_on_one_server_and_is_mapped_there(pool: RunningPool, front_end: FrontEnd) -> None:
    answer = await front_end.create("algebra")
    assert succeeded(answer)
    (holder,) = pool.holders("algebra")
    row = await meeting_row(pool.database, "algebra")
    assert row is not None
    assert (row.server_id, row.state) == (holder.name, MeetingState.LIVE)
    assert row.internal_id == answer.findtext("internalMeetingID")


async def test_as_many_creates_at_once_as_empty_servers_take_one_each(database_url: str) -> None:
    async with running_pool(database_url, servers=8) as pool:
        front_ends = [await pool.front_end() for _ in range(4)]
        answers = await asyncio.gather(*(front_ends[n % 4].create(f"room-{n}") for n in range(8)))
        assert all(succeeded(answer) for answer in answers)
        assert [len(server.meetings) for server in pool.fleet.servers] == [1] * 8


async def test_the_least_loaded_server_is_chosen(pool: RunningPool, front_end: FrontEnd) -> None:
    busy, idle, busier = pool.fleet.servers
    busy.create_meeting("b", name="b", people=30)
    busier.create_meeting("c", name="c", people=60)
    await pool.poll()
    await asyncio.sleep(0.1)
    await front_end.create("new")
    assert pool.holders("new") == [idle]


async def test_a_burst_is_spread_over_equal_servers(database_url: str) -> None:
    async with running_pool(database_url, servers=4) as pool:
        front_ends = [await pool.front_end() for _ in range(2)]
        await asyncio.gather(*(front_ends[n % 2].create(f"room-{n}") for n in range(80)))
        counts = [len(server.meetings) for server in pool.fleet.servers]
        assert sum(counts) == 80
        assert max(counts) - min(counts) <= 2


async def test_a_repeated_create_goes_to_the_same_server_and_says_so(pool: RunningPool, front_end: FrontEnd) -> None:
    first = await front_end.create("again")
    second = await front_end.create("again")
    assert key_of(second) == "duplicateWarning"
    assert first.findtext("internalMeetingID") == second.findtext("internalMeetingID")
    assert len(pool.holders("again")) == 1


async def test_many_processes_creating_one_id_at_once_make_one_meeting(pool: RunningPool) -> None:
    front_ends = [await pool.front_end() for _ in range(4)]
    for round_number in range(10):
        meeting_id = f"race-{round_number}"
        answers = await asyncio.gather(*(front_ends[n % 4].create(meeting_id) for n in range(32)))
        assert all(succeeded(answer) for answer in answers)
        assert len({answer.findtext("internalMeetingID") for answer in answers}) == 1
        assert len({answer.findtext("moderatorPW") for answer in answers}) == 1
        assert len(pool.holders(meeting_id)) == 1


async def test_a_refused_connection_moves_the_meeting_on(pool: RunningPool, front_end: FrontEnd) -> None:
    first, second, third = pool.fleet.servers
    await pool.fleet.set_faults(first, Faults(refuse=True))
    await pool.fleet.set_faults(second, Faults(refuse=True))
    for number in range(6):
        assert succeeded(await front_end.create(f"room-{number}"))
    assert len(third.meetings) == 6


async def test_a_server_that_refused_is_avoided_until_a_poll_reaches_it(pool: RunningPool, front_end: FrontEnd) -> None:
    refusing = pool.fleet.servers[0]
    await pool.fleet.set_faults(refusing, Faults(refuse=True))
    for number in range(6):
        await front_end.create(f"before-{number}")
    await pool.fleet.set_faults(refusing, NO_FAULTS)
    await pool.poll()
    await asyncio.sleep(0.1)
    await front_end.create("after")
    assert pool.holders("after") == [refusing]


async def test_when_every_server_refuses_nothing_is_left_reserved(pool: RunningPool, front_end: FrontEnd) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(refuse=True))
    answer = await front_end.create("nowhere")
    assert (key_of(answer), answer.findtext("message")) == ("internalError", "Could not find any available servers.")
    assert await meeting_row(pool.database, "nowhere") is None


async def test_a_lost_create_reply_stays_pinned(pool: RunningPool) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_after=True, calls=CREATE))
    front_ends = [await pool.front_end() for _ in range(4)]
    answer = await front_ends[0].create("pinned")
    assert (key_of(answer), answer.findtext("message")) == ("internalError", "Unable to create meeting on server.")
    (holder,) = pool.holders("pinned")
    row = await meeting_row(pool.database, "pinned")
    assert row is not None
    assert (row.server_id, row.state) == (holder.name, MeetingState.UNKNOWN)
    for number in range(20):
        await front_ends[number % 4].create("pinned")
    assert pool.holders("pinned") == [holder]
    await pool.fleet.set_faults(holder, NO_FAULTS)
    assert succeeded(await front_ends[3].create("pinned"))
    assert [server.count("create") > 0 for server in pool.fleet.servers].count(True) == 1


async def test_a_connection_that_broke_once_is_tried_again_on_the_same_server(pool: RunningPool, front_end: FrontEnd) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_after=True, calls=CREATE))

    def heal_at_second_create(server: SimulatedServer, call: str) -> None:
        if server.count("create") == 1:
            server.faults = NO_FAULTS

    pool.fleet.on_request = heal_at_second_create
    answer = await front_end.create("once")
    assert succeeded(answer)
    (holder,) = pool.holders("once")
    assert holder.count("create") == 2


async def test_a_create_slower_than_the_timeout_is_found_by_the_next_poll(database_url: str) -> None:
    async with running_pool(database_url, response_timeout=0.4) as pool:
        front_end = await pool.front_end()
        for server in pool.fleet.servers:
            await pool.fleet.set_faults(server, Faults(reply_delay=1.0, calls=CREATE))
        assert key_of(await front_end.create("slow")) == "internalError"
        await pool.poll()
        row = await meeting_row(pool.database, "slow")
        assert row is not None
        assert row.state is MeetingState.LIVE


async def test_a_server_that_answers_with_a_web_page_keeps_the_meeting(pool: RunningPool, front_end: FrontEnd) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(http_status=502, calls=CREATE))
    assert key_of(await front_end.create("gone")) == "internalError"
    row = await meeting_row(pool.database, "gone")
    assert row is not None
    assert row.state is MeetingState.UNKNOWN


async def test_a_request_that_the_host_turned_away_leaves_nothing(pool: RunningPool, front_end: FrontEnd) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(http_status=414, calls=CREATE))
    assert key_of(await front_end.create("long")) == "internalError"
    assert await meeting_row(pool.database, "long") is None


async def test_a_refusal_of_the_server_is_passed_on_and_leaves_nothing(pool: RunningPool, front_end: FrontEnd) -> None:
    answer = await front_end.ask("create", meetingID="nameless")
    assert key_of(answer) == "validationError"
    assert await meeting_row(pool.database, "nameless") is None


async def test_other_passwords_for_a_running_meeting_are_refused_by_its_server(front_end: FrontEnd, pool: RunningPool) -> None:
    await front_end.create("strict", moderatorPW="mod-1", attendeePW="att-1")
    answer = await front_end.create("strict", moderatorPW="mod-2", attendeePW="att-2")
    assert key_of(answer) == "idNotUnique"
    assert await meeting_row(pool.database, "strict") is not None


async def test_no_server_means_a_clear_error(database_url: str) -> None:
    async with running_pool(database_url, servers=1) as pool:
        front_end = await pool.front_end()
        await pool.change_server(pool.fleet.servers[0], admin_state="cordoned")
        await asyncio.sleep(0.1)
        answer = await front_end.create("full")
        assert (key_of(answer), answer.findtext("message")) == ("internalError", "Could not find any available servers.")


async def test_a_required_tag_without_a_server_is_named(front_end: FrontEnd) -> None:
    answer = await front_end.ask("create", ("meta_server-tag", "gpu!"), meetingID="tagged", name="Tagged")
    assert key_of(answer) == "serverTagUnavailable"
    assert answer.findtext("message") == "There is no available server with the required tag=gpu."


async def test_a_cordoned_server_keeps_its_meetings_and_gets_no_new_ones(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("stays")
    (holder,) = pool.holders("stays")
    await pool.change_server(holder, admin_state="cordoned")
    await asyncio.sleep(0.1)
    assert key_of(await front_end.create("stays")) == "duplicateWarning"
    for number in range(6):
        await front_end.create(f"new-{number}")
    assert list(holder.meetings) == ["stays"]


async def test_a_meeting_that_ended_on_a_cordoned_server_is_created_elsewhere(database_url: str) -> None:
    async with running_pool(database_url) as pool:
        front_end = await pool.front_end()
        await front_end.create("moves")
        (holder,) = pool.holders("moves")
        await pool.change_server(holder, admin_state="cordoned")
        holder.meetings.clear()
        await _age_attempts(pool, seconds=120)
        await asyncio.sleep(0.1)
        assert succeeded(await front_end.create("moves"))
        (new_holder,) = pool.holders("moves")
        assert new_holder is not holder
        row = await meeting_row(pool.database, "moves")
        assert row is not None
        assert row.server_id == new_holder.name


async def test_a_meeting_of_a_dead_server_is_created_elsewhere(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("rescued")
    (holder,) = pool.holders("rescued")
    await pool.fleet.set_faults(holder, Faults(refuse=True))
    assert key_of(await front_end.create("rescued")) == "internalError"
    await pool.change_server(holder, health="dead")
    await asyncio.sleep(0.1)
    assert succeeded(await front_end.create("rescued"))
    assert len(pool.holders("rescued")) == 2
    row = await meeting_row(pool.database, "rescued")
    assert row is not None
    assert row.server_id != holder.name


async def test_clients_cannot_set_or_see_the_metadata_of_the_balancer(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.ask("create", ("meta_meetingpool-generation", "77"), ("meta_Own", "x"), meetingID="meta", name="Meta")
    (holder,) = pool.holders("meta")
    assert holder.requests[-1].parameters["meta_meetingpool-generation"] != "77"
    info = await front_end.ask("getMeetingInfo", meetingID="meta")
    assert [(child.tag, child.text) for child in info.find("metadata")] == [("own", "x")]  # type: ignore[union-attr]


async def test_unknown_and_empty_parameters_reach_the_server_as_given(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("params", brandNew="a b+c&d=e~ä", welcome="")
    (holder,) = pool.holders("params")
    received = next(call for call in reversed(holder.requests) if call.call == "create")
    assert (received.parameters["brandNew"], received.parameters.get("welcome", "")) == ("a b+c&d=e~ä", "")


async def _age_attempts(pool: RunningPool, seconds: float) -> None:
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET attempted_at = attempted_at - make_interval(secs => $1)", seconds)
