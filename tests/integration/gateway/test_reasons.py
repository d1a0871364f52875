"""Every placement is kept with its reason, and shown with it while the meeting runs and when it is over."""

import asyncio
from typing import Any

import pytest

from meetingpool.database.creates import Reservation, Said, Wish, reserve
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.servers import ServerId
from meetingpool.domain.timetable import Upcoming
from meetingpool.operations.find_meetings import AmbiguousMeeting, NoSuchMeeting
from meetingpool.operations.placement_records import PlacementRecord, ReasonRecord, explain_placement
from simulator.faults import Faults
from tests.management import ManagedPool, refused
from tests.pool import FrontEnd, RunningPool, running_pool, succeeded


async def explained(pool: RunningPool, meeting_id: str, tenant: str | None = None) -> PlacementRecord:
    async with pool.database.transaction() as connection:
        return await explain_placement(connection, meeting_id, tenant)


async def why(pool: RunningPool, meeting_id: str) -> ReasonRecord:
    reason = (await explained(pool, meeting_id))["why"]
    assert reason is not None
    return reason


async def change(pool: RunningPool, front_end: FrontEnd, number: int, **changes: Any) -> None:
    """Of the server, until the gateway knows of it."""
    server = pool.fleet.servers[number]
    await pool.change_server(server, **changes)
    view = front_end.gateway.view
    async with asyncio.timeout(5):
        while any(getattr(view.pool.servers[ServerId(server.name)], name) != value for name, value in changes.items()):
            await asyncio.sleep(0.01)


async def test_a_choice_is_kept_with_the_servers_that_were_compared(database_url: str) -> None:
    async with running_pool(database_url, servers=5) as pool:
        front_end = await pool.front_end()
        first, second, third, fourth, _ = (server.name for server in pool.fleet.servers)
        await change(pool, front_end, 0, load=40.0, handicap=5.0)
        await change(pool, front_end, 1, load=20.0)
        await change(pool, front_end, 2, tags=frozenset({"exam"}))
        await change(pool, front_end, 3, max_users=14)
        await change(pool, front_end, 4, admin_state="cordoned")

        assert succeeded(await front_end.create("room"))

        placed = await explained(pool, "room")
        assert (placed["id"], placed["tenant"], placed["server"], placed["over"]) == ("room", "default", second, False)
        reason = await why(pool, "room")
        assert (reason["expected_users"], reason["source"], reason["moved_from"]) == (15, "typical", None)
        assert (reason["servers"], reason["open_servers"], reason["looked_at"]) == (5, 4, 4)
        assert [
            (each["server"], each["chosen"], each["carried"], each["handicap"], each["compared"])
            for each in reason["candidates"][:2]
        ] == [(second, True, 20, 0, 20), (first, False, 40, 5, 45)]
        assert {each["server"]: each["remark"] for each in reason["candidates"]} == {
            second: "",
            first: "",
            third: "may not have it: its tags do not fit",
            fourth: "full with this meeting: its max_users is 14",
        }


async def test_room_that_was_kept_for_a_larger_meeting_is_shown(pool: RunningPool, front_end: FrontEnd) -> None:
    for number, load in enumerate((10.0, 20.0, 90.0)):
        await change(pool, front_end, number, load=load)
    known, (first, second, _) = front_end.gateway.view.pool, (server.name for server in pool.fleet.servers)
    known.kept.expect([Upcoming(key=MeetingKey(DEFAULT_TENANT, "lecture"), users=100, chance=0.5)])
    known.plan()

    await front_end.create("room")
    await front_end.create("lecture")

    room, lecture = await why(pool, "room"), await why(pool, "lecture")
    figures = [(each["server"], each["carried"], each["kept"], each["compared"]) for each in room["candidates"]]
    assert figures[:2] == [(second, 20, 0, 20), (first, 10, 50, 60)]
    assert (lecture["expected_users"], lecture["source"]) == (100, "room")
    assert (lecture["candidates"][0]["server"], lecture["candidates"][0]["kept"]) == (first, 0)


async def test_a_burst_keeps_a_reason_for_each(pool: RunningPool, front_end: FrontEnd) -> None:
    """Creates at once are written together."""
    await asyncio.gather(*(front_end.create(f"room-{number}") for number in range(12)))
    for number in range(12):
        (server,) = pool.holders(f"room-{number}")
        assert [each["server"] for each in (await why(pool, f"room-{number}"))["candidates"] if each["chosen"]] == [server.name]


async def test_of_a_choice_that_others_made_wrong_the_last_one_is_shown(pool: RunningPool) -> None:
    """B has filled the first server, and A has not heard of it."""
    a = await pool.front_end()
    first, second, _ = (server.name for server in pool.fleet.servers)
    await change(pool, a, 1, load=20.0)
    await change(pool, a, 2, load=30.0)
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET load = 50 WHERE id = $1", first)

    await a.create("room")

    reason = await why(pool, "room")
    assert [(each["server"], each["carried"]) for each in reason["candidates"]] == [
        (second, 20),
        (pool.fleet.servers[2].name, 30),
    ]
    assert reason["looked_at"] == 2


async def test_what_was_asked_for_is_shown(pool: RunningPool, front_end: FrontEnd) -> None:
    await change(pool, front_end, 0, region="us", load=60.0)
    await change(pool, front_end, 1, region="eu", tags=frozenset({"gpu"}))
    await change(pool, front_end, 2, region="us", tags=frozenset({"gpu"}))

    await front_end.create("room", **{"meta_region": "us", "meta_server-tag": "gpu"})
    await front_end.create("strict", **{"meta_region": "us", "meta_server-tag": "gpu!"})

    reason, first, second, third = await why(pool, "room"), *(server.name for server in pool.fleet.servers)
    assert (reason["tags"], reason["tags_required"], reason["tenant_tags"]) == (["gpu"], False, None)
    assert reason["regions"] == ["us", "eu"]
    assert [(each["server"], each["remark"]) for each in reason["candidates"]] == [
        (third, ""),
        (second, "in region eu"),
        (first, "lacks the tag"),
    ]
    assert (await why(pool, "strict"))["tags_required"]


async def test_a_meeting_that_a_server_refused_says_where_it_comes_from(pool: RunningPool, front_end: FrontEnd) -> None:
    refusing, *_ = pool.fleet.servers
    for number in (1, 2):
        await change(pool, front_end, number, load=50.0)
    await pool.fleet.set_faults(refusing, Faults(refuse=True))

    assert succeeded(await front_end.create("room"))
    await front_end.create("next")

    moved, following = await why(pool, "room"), await why(pool, "next")
    assert (moved["moved_from"], moved["moved_because"]) == (refusing.name, "refused")
    assert following["moved_from"] is None
    for reason in (moved, following):
        last = reason["candidates"][-1]
        assert (last["server"], last["remark"]) == (
            refusing.name,
            "left out: it had just refused a create, or was found full",
        )


@pytest.mark.parametrize("cause", ["gone", "dead"])
async def test_a_meeting_that_left_its_server_says_why(pool: RunningPool, front_end: FrontEnd, cause: str) -> None:
    await front_end.create("room")
    (left,) = pool.holders("room")
    number = pool.fleet.servers.index(left)
    if cause == "dead":
        await pool.fleet.set_faults(left, Faults(refuse=True))
        await change(pool, front_end, number, health="dead")
    else:
        left.meetings.clear()
        await change(pool, front_end, number, admin_state="cordoned")
        async with pool.database.transaction() as connection:
            await connection.execute("UPDATE meetings SET attempted_at = attempted_at - interval '10 minutes'")

    # By another process, which remembers nothing of the first create.
    assert succeeded(await (await pool.front_end()).create("room"))

    placed, reason = await explained(pool, "room"), await why(pool, "room")
    assert (reason["moved_from"], reason["moved_because"]) == (left.name, cause)
    assert placed["server"] != left.name
    assert (reason["open_servers"], reason["servers"]) == (2, 3)


async def test_a_meeting_that_is_over_is_explained_by_its_last_placement(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    first = await explained(pool, "room")
    for server in pool.fleet.servers:
        server.meetings.clear()
    async with pool.database.transaction() as connection:
        await connection.execute("DELETE FROM meetings")

    over = await explained(pool, "room")

    assert over == {**first, "over": True}


async def test_of_a_placement_from_before_reasons_were_kept_nothing_is_known(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE placements SET reason = NULL")
    placed = await explained(pool, "room")
    assert (placed["server"], placed["why"]) == (pool.holders("room")[0].name, None)


async def test_a_reservation_without_a_reason_is_one_of_which_nothing_is_known(pool: RunningPool) -> None:
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[0].name), ceiling=float("inf"), expected=1.0)
    await reserve(pool.database, Wish(key=MeetingKey(DEFAULT_TENANT, "room"), wanted=wanted, said=Said()))
    assert (await explained(pool, "room"))["why"] is None


async def test_a_meeting_that_never_was_is_not_explained(pool: RunningPool) -> None:
    with pytest.raises(NoSuchMeeting, match="No meeting found with id: room, nor one that is over"):
        await explained(pool, "room")


async def test_the_meeting_of_one_tenant_is_named_while_it_runs_and_when_it_is_over(managed: ManagedPool) -> None:
    pool = managed.pool
    with pytest.raises(AmbiguousMeeting, match="Several tenants have a meeting room, name one by --tenant: a, b"):
        await explained(pool, "room")
    async with pool.database.transaction() as connection:
        await connection.execute("DELETE FROM meetings WHERE tenant = 'id-of-b'")
    assert (await explained(pool, "room"))["tenant"] == "a"
    assert (await explained(pool, "room", "b"))["over"]
    async with pool.database.transaction() as connection:
        await connection.execute("DELETE FROM meetings")
    with pytest.raises(AmbiguousMeeting, match="Several tenants had a meeting room, name one by --tenant: a, b"):
        await explained(pool, "room")


async def test_the_management_api_tells_it_to_those_who_may_see_the_pool(managed: ManagedPool) -> None:
    path, query = "/meetings/room/why", {"tenant": "a"}
    meeting = await managed.done("GET", "/meetings/room", params=query)

    told = await managed.done("GET", path, "auditor", params=query)

    assert (told["id"], told["tenant"], told["server"], told["over"]) == ("room", "a", meeting["server"], False)
    assert [each["server"] for each in told["why"]["candidates"] if each["chosen"]] == [meeting["server"]]
    assert await refused(managed, "GET", path, "a") == (403, "permission_missing")
    assert await refused(managed, "GET", path) == (409, "ambiguous_meeting")
    assert await refused(managed, "GET", "/meetings/nothing/why") == (404, "no_such_meeting")
