"""`meetingpool meetings …`"""

import json
from datetime import UTC, datetime, timedelta

from meetingpool.database.creates import Reservation, Said, Wish, reserve
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.placement import Candidate, Choice, Obstacle, PlacementRequest, PoolSize, Standing, TagRequest
from meetingpool.domain.reasons import Cause, Move, Source, reason_of
from meetingpool.domain.servers import Server, ServerId
from simulator.faults import Faults
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed, Placed
from tests.tenants import add_tenants


async def test_list_has_the_meetings_of_a_server_or_a_tenant(meetingpool: CommandLine, listed: Listed, placed: Placed) -> None:
    await placed("lecture", "a")
    await placed("seminar", "b")

    everything = await listed("meetings", "list")
    assert list(everything[0]) == ["id", "tenant", "server", "state", "users", "created_at"]
    assert [(meeting["id"], meeting["server"], meeting["state"]) for meeting in everything] == [
        ("lecture", "a", "live"),
        ("seminar", "b", "live"),
    ]
    assert [meeting["id"] for meeting in await listed("meetings", "list", "--server", "b")] == ["seminar"]
    assert await listed("meetings", "list", "--tenant", "nobody") == []
    assert "lecture" in (await meetingpool("meetings", "list")).stdout


async def test_show_tells_what_the_server_says_now_and_no_password(meetingpool: CommandLine, placed: Placed) -> None:
    meeting = await placed("lecture", "a", people=2)

    told = await meetingpool("meetings", "show", "lecture", "--format", "json")

    shown = json.loads(told.stdout)
    assert (shown["id"], shown["server"], shown["internal_id"]) == ("lecture", "a", meeting.internal_id)
    assert (shown["name"], shown["participants"], shown["moderators"]) == ("lecture", 2, 1)
    assert (shown["running"], shown["recording"], shown["create_time"]) == (True, False, meeting.created_ms)
    assert meeting.settings.moderator_password not in told.output
    assert meeting.settings.attendee_password not in told.output


async def test_show_says_when_the_server_does_not_answer(meetingpool: CommandLine, placed: Placed, pool: Fleet) -> None:
    await placed("lecture", "a")
    await pool.set_faults(pool.servers[0], Faults(refuse=True))

    told = await meetingpool("meetings", "show", "lecture", "--format", "json")

    assert json.loads(told.stdout)["server_says"].startswith("no connection: ")


async def test_unknown_meeting_is_refused(meetingpool: CommandLine) -> None:
    for command in ("show", "end"):
        told = await meetingpool("meetings", command, "nothing", exit_code=1)
        assert told.stderr == "No meeting found with id: nothing; `meetingpool meetings list` shows them all\n"


async def test_end_ends_a_meeting_on_its_server(meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet) -> None:
    await placed("lecture", "a", people=2)
    await placed("seminar", "a")

    told = await meetingpool("meetings", "end", "lecture")

    assert told.stdout == "Meeting lecture is ended\n"
    assert list(pool.servers[0].meetings) == ["seminar"]
    assert [meeting["state"] for meeting in await listed("meetings", "list")] == ["ending", "live"]


async def test_ended_meetings_do_not_keep_a_server_from_being_switched_off(meetingpool: CommandLine, placed: Placed) -> None:
    await placed("lecture", "a")
    await meetingpool("meetings", "end", "lecture")

    await meetingpool("servers", "disable", "a")
    await meetingpool("servers", "remove", "a")


async def test_ending_all_meetings_asks_first(meetingpool: CommandLine, placed: Placed, pool: Fleet) -> None:
    await placed("lecture", "a")
    await placed("seminar", "b")

    await meetingpool("meetings", "end", "--all", typed="n\n", exit_code=1)
    await meetingpool("meetings", "end", "--all", "--dry-run")
    assert [len(server.meetings) for server in pool.servers] == [1, 1]

    await meetingpool("meetings", "end", "--all", "--yes")
    assert [len(server.meetings) for server in pool.servers] == [0, 0]


async def test_meeting_that_its_server_does_not_end_is_named(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    await placed("lecture", "a")
    await placed("seminar", "b")
    await pool.set_faults(pool.servers[0], Faults(http_status=502))

    told = await meetingpool("meetings", "end", "lecture", "seminar", exit_code=1)

    assert told.stdout == "Meeting seminar is ended\n"
    assert told.stderr.startswith("Meeting lecture is not ended: Server a did not answer: ")
    assert [meeting["state"] for meeting in await listed("meetings", "list")] == ["live", "ending"]


async def test_history_has_the_meetings_that_ended_last(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet, database: Database
) -> None:
    told = await meetingpool("meetings", "history")
    assert told.stdout == "No meeting is over yet\n"
    await add_tenants(database, "school")
    for tenant, name, days in (("default", "lecture", 3), ("default", "seminar", 2), ("id-of-school", "lecture", 1)):
        began = datetime.now(UTC) - timedelta(days=days)
        await database.statement(
            "INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) "
            "VALUES ($1, $2, 'a', $3::timestamptz, $3 + interval '1 h', '{1, 7, NULL, 4}')",
            *(tenant, name, began),
        )

    everything = await listed("meetings", "history")
    assert list(everything[0]) == ["id", "tenant", "server", "began_at", "ended_at", "peak_people"]
    assert [(meeting["id"], meeting["tenant"], meeting["peak_people"]) for meeting in everything] == [
        ("lecture", "school", 7),
        ("seminar", "default", 7),
        ("lecture", "default", 7),
    ]
    assert [meeting["tenant"] for meeting in await listed("meetings", "history", "--room", "lecture")] == ["school", "default"]
    assert [meeting["id"] for meeting in await listed("meetings", "history", "--tenant", "school")] == ["lecture"]
    assert [meeting["id"] for meeting in await listed("meetings", "history", "--limit", "2")] == ["lecture", "seminar"]
    assert "PEAK PEOPLE" in (await meetingpool("meetings", "history")).stdout
    told = await meetingpool("meetings", "history", "--room", "seminar", "--tenant", "school")
    assert told.stdout == "No such meeting is over yet\n"


async def test_a_meeting_that_is_over_is_in_the_history(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    await placed("lecture", "a", people=2)
    await meetingpool("poll", "once")
    await meetingpool("servers", "panic", "a", "--yes")
    (over,) = await listed("meetings", "history")
    assert (over["id"], over["server"], over["peak_people"]) == ("lecture", "a", 2)


async def explain(database: Database, tenant: str = "default") -> None:
    """Places `lecture` on server a; b was full, and c refused it."""
    a, b, c = (Server(id=ServerId(name), url="", secret="", handicap=12.5, max_users=200) for name in "abc")
    looked_at = (Candidate(b, 20.0, 100.0, Obstacle.USERS), Candidate(a, 44.5, 0.0, Standing(False, False, 1)))
    tags = TagRequest.parse("gpu!", frozenset({"gpu", "school"}))
    request = PlacementRequest(users=80, tags=tags, regions=("eu", "us"))
    left, size = Move(c.id, Cause.REFUSED), PoolSize(open_servers=3, servers=5)
    reason = reason_of(Choice(a, 99.0, looked_at=looked_at, looked=3), request, Source.ROOM, size, left)
    wanted = Reservation(server_id=a.id, ceiling=float("inf"), expected=80.0, reason=reason)
    await reserve(database, Wish(key=MeetingKey(tenant, "lecture"), wanted=wanted, said=Said()))


async def test_show_says_why_a_meeting_is_where_it_is(meetingpool: CommandLine, pool: Fleet, database: Database) -> None:
    await explain(database)
    # Nobody asks the server.
    await pool.set_faults(pool.servers[0], Faults(refuse=True))

    first, *lines = (await meetingpool("meetings", "show", "lecture", "--why")).stdout.splitlines()

    assert first.startswith("Meeting lecture of default was placed on a at 20")
    assert [line.rstrip() for line in lines] == [
        "Moved there because c refused the create",
        "80 people expected, by the room's own meetings",
        "Tags asked for: gpu (required)",
        "The tenant may use servers with these tags: gpu, school",
        "Regions, the nearest first: eu, us",
        "3 of 5 servers took new meetings, 3 of these were compared, the least loaded first (2 are shown)",
        "",
        "SERVER  CARRIED  KEPT  HANDICAP  COMPARED  REMARK",
        "a            32     0      12.5      44.5  chosen, in region us",
        "b           7.5   100      12.5       120  full with this meeting: its max_users is 200",
    ]


async def test_why_is_an_object_for_programs_and_a_row_for_each_candidate(
    meetingpool: CommandLine, listed: Listed, pool: Fleet, database: Database
) -> None:
    await explain(database)

    shown = await listed("meetings", "show", "lecture", "--why")
    table = (await meetingpool("meetings", "show", "lecture", "--why", "--format", "csv")).stdout

    assert list(shown) == ["id", "tenant", "server", "placed_at", "over", "why"]
    assert {name: value for name, value in shown["why"].items() if name != "candidates"} == {
        "expected_users": 80,
        "source": "room",
        "tags": ["gpu"],
        "tags_required": True,
        "tenant_tags": ["gpu", "school"],
        "regions": ["eu", "us"],
        "moved_from": "c",
        "moved_because": "refused",
        "servers": 5,
        "open_servers": 3,
        "looked_at": 3,
    }
    a = {"carried": 32, "kept": 0, "handicap": 12.5, "compared": 44.5, "remark": "in region us"}
    assert shown["why"]["candidates"][0] == {"server": "a", "chosen": True, **a}
    assert table.splitlines() == [
        "server,chosen,carried,kept,handicap,compared,remark",
        "a,True,32.0,0.0,12.5,44.5,in region us",
        "b,False,7.5,100.0,12.5,120.0,full with this meeting: its max_users is 200",
    ]


async def test_why_is_told_of_a_meeting_that_is_over(meetingpool: CommandLine, pool: Fleet, database: Database) -> None:
    await explain(database)
    await database.statement("DELETE FROM meetings")

    told = (await meetingpool("meetings", "show", "lecture", "--why")).stdout

    assert told.startswith("Meeting lecture of default does not run; the last time, at 20")
    assert "80 people expected" in told


async def test_why_of_a_tenants_meeting_is_told_by_its_name(meetingpool: CommandLine, pool: Fleet, database: Database) -> None:
    await add_tenants(database, "school")
    await explain(database, "id-of-school")
    await database.statement("DELETE FROM meetings")
    for arguments in ((), ("--tenant", "school"), ("--tenant", "id-of-school")):
        told = await meetingpool("meetings", "show", "lecture", "--why", *arguments)
        assert told.stdout.startswith("Meeting lecture of school does not run")
    await meetingpool("meetings", "show", "lecture", "--why", "--tenant", "default", exit_code=1)


async def test_why_of_a_meeting_of_which_nothing_was_kept_says_so(meetingpool: CommandLine, placed: Placed) -> None:
    await placed("lecture", "a")
    told = (await meetingpool("meetings", "show", "lecture", "--why")).stdout
    assert told.splitlines()[1:] == ["Nothing is known of the reason: it was placed before reasons were kept"]


async def test_why_of_a_meeting_that_never_was_is_refused(meetingpool: CommandLine) -> None:
    told = await meetingpool("meetings", "show", "nothing", "--why", exit_code=1)
    assert told.stderr == (
        "No meeting found with id: nothing, nor one that is over; `meetingpool meetings list` and `history` show them\n"
    )
