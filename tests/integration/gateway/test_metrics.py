"""What /metrics and /leader tell, and whom. Scrapes come from an address of this machine unless a test says otherwise."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import make_url

from gateway.limits import BoundedRequests
from meetingpool.database import imports
from meetingpool.database.figures import read_leader
from meetingpool.database.imports import ImportState
from meetingpool.database.leases import acquire_lease, release_lease
from meetingpool.domain.access import Role
from meetingpool.domain.servers import AdminState
from meetingpool.operations.api_tokens import create_token, revoke_token
from meetingpool.operations.changes import changing
from meetingpool.settings import Settings
from poller.watch import LEASE
from simulator.faults import Faults
from tests.actors import SOMEBODY
from tests.databases import execute, with_database
from tests.logs import Event
from tests.metrics import Scrape
from tests.pool import SECRET, FrontEnd, RunningPool, key_of, running_pool, succeeded

STRANGER = "203.0.113.7"


async def ask(
    pool: RunningPool, front_end: FrontEnd, path: str, *, address: str = "127.0.0.1", token: str | None = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(pool.application(front_end.gateway), client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get(path, headers=headers)


async def scraped(pool: RunningPool, front_end: FrontEnd) -> Scrape:
    response = await ask(pool, front_end, "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(response.text)


async def token_for(pool: RunningPool, role: Role, tenant: str | None = None) -> str:
    async with changing(pool.database, SOMEBODY) as change:
        return (await create_token(change, f"a {role}", role, tenant=tenant)).plain


async def test_what_servers_carry_is_shown_as_the_exporter_on_each_would(pool: RunningPool, front_end: FrontEnd) -> None:
    first, second, third = pool.fleet.servers
    first.create_meeting("a", name="A", people=20)
    first.create_meeting("b", name="B", people=4)
    second.create_meeting("c", name="C", people=1)
    await pool.fleet.set_faults(third, Faults(http_status=500))
    await pool.poll()

    scrape = await scraped(pool, front_end)

    of_first = {"server": first.name}
    assert [scrape("bbb_api_up", server=server.name) for server in pool.fleet.servers] == [1, 1, 0]
    assert [scrape("bbb_meetings", server=server.name) for server in pool.fleet.servers] == [2, 1, 0]
    assert scrape("bbb_meetings_participants", **of_first) == 24
    assert scrape("bbb_meetings_participants_max", **of_first) == 20
    assert scrape("bbb_meetings_participant_clients", type="html5", **of_first) == 24
    assert scrape("bbb_meetings_participant_clients", type="dial-in", **of_first) == 0
    assert scrape("bbb_version", version="3.0.19", **of_first) == 1
    buckets = [scrape("bbb_room_participants_bucket", le=le, **of_first) for le in ("1.0", "5.0", "15.0", "30.0", "+Inf")]
    assert buckets == [0, 1, 1, 2, 2]
    assert (scrape("bbb_room_participants_gcount", **of_first), scrape("bbb_room_participants_gsum", **of_first)) == (2, 24)
    for kind, total in (("listeners", "listeners"), ("voice_participants", "voice_participants"), ("video_participants",) * 2):
        assert scrape(f"bbb_room_{kind}_gsum", **of_first) == scrape(f"bbb_meetings_{total}", **of_first)
        assert scrape(f"bbb_room_{kind}_gcount", **of_first) == 2


async def test_people_by_telephone_are_remembered_until_they_are_counted_again(pool: RunningPool, front_end: FrontEnd) -> None:
    server = pool.fleet.servers[0]
    server.create_meeting("a", name="A", people=20)
    await pool.poll()
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET rooms = rooms || $1", {"callers": 3})
    await pool.poll()

    scrape = await scraped(pool, front_end)

    assert scrape("bbb_meetings_participant_clients", type="html5", server=server.name) == 17
    assert scrape("bbb_meetings_participant_clients", type="dial-in", server=server.name) == 3


async def test_meetings_are_counted_when_they_begin_and_breakout_rooms_are_not(pool: RunningPool, front_end: FrontEnd) -> None:
    server = pool.fleet.servers[0]
    for number in range(3):
        parent = server.create_meeting(f"room-{number}", name="A", people=1)
        server.create_meeting(f"group-{number}", name="A group", people=1, parent=parent)
        await pool.poll()
        await pool.poll()

    assert (await scraped(pool, front_end))("bbb_unique_meetings_total", server=server.name) == 3
    server.end(server.meetings["room-0"])
    await pool.poll()
    assert (await scraped(pool, front_end))("bbb_unique_meetings_total", server=server.name) == 3


async def test_servers_are_counted_by_what_is_wanted_and_what_was_seen(pool: RunningPool, front_end: FrontEnd) -> None:
    first, second, _ = pool.fleet.servers
    first.create_meeting("a", name="A", people=1)
    await pool.change_server(first, admin_state=AdminState.CORDONED)
    await pool.fleet.set_faults(second, Faults(http_status=500))
    await pool.poll()

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_servers", admin_state="enabled", health="online") == 1
    assert scrape("meetingpool_servers", admin_state="cordoned", health="online") == 1
    assert scrape("meetingpool_servers", admin_state="enabled", health="suspect") == 1
    assert scrape("meetingpool_servers", admin_state="disabled", health="dead") == 0
    assert scrape("meetingpool_servers_available") == 2
    assert scrape("meetingpool_server_available", server=first.name) == 0
    assert scrape("meetingpool_server_enabled", server=first.name) == 0
    assert scrape("meetingpool_server_enabled", server=second.name) == 1
    assert scrape("meetingpool_poll_age_seconds", server=first.name) <= scrape("meetingpool_poll_age_seconds", server=second.name)


async def test_calls_are_counted_by_what_became_of_them(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    for _ in range(3):
        await front_end.get("join", meetingID="room", fullName="Ann", password="mp")
    await front_end.ask("end", meetingID="nowhere", password="mp")
    await front_end.ask("end", meetingID="room", password="wrong")
    await front_end.http.get("http://gateway/bigbluebutton/api/join?meetingID=room&checksum=0")
    await front_end.http.get("http://gateway/bigbluebutton/api/no/such/call")

    scrape = await scraped(pool, front_end)

    def count(call: str, outcome: str) -> float:
        return scrape("meetingpool_requests_total", call=call, outcome=outcome)

    assert count("create", "ok") == scrape("meetingpool_request_seconds_count", call="create") == 1
    assert scrape("meetingpool_placement_seconds_count") == 1
    assert count("join", "unverified") == 1
    assert count("join", "ok") + count("join", "refused") == 3
    assert count("end", "refused") == 2
    assert count("other", "refused") == 1
    assert scrape("meetingpool_request_seconds_count", call="join") == 4
    (holder,) = pool.holders("room")
    assert scrape("meetingpool_upstream_seconds_count", call="create", server=holder.name) == 1
    assert scrape("meetingpool_upstream_seconds_count", call="end", server=holder.name) == 1


async def test_creates_without_a_place_and_servers_that_do_not_answer_are_counted(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    (holder,) = pool.holders("room")
    await pool.fleet.set_faults(holder, Faults(http_status=500))
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="room")) == "internalError"
    await pool.fleet.set_faults(holder, Faults(drop_before=True))
    assert key_of(await front_end.ask("end", meetingID="room")) == "internalError"
    assert key_of(await front_end.create("tagged", **{"meta_server-tag": "rare!"})) == "serverTagUnavailable"
    tagged = await scraped(pool, front_end)
    assert tagged("meetingpool_placements_refused_total", reason="no_server_with_tag") == 1
    assert tagged("meetingpool_upstream_failures_total", call="getMeetingInfo", server=holder.name) == 1
    assert tagged("meetingpool_upstream_failures_total", call="end", server=holder.name) == 1
    assert tagged("meetingpool_upstream_failures_total", call="create", server=holder.name) == 0
    for server in pool.fleet.servers:
        await pool.change_server(server, admin_state=AdminState.CORDONED)
    front_end = await pool.front_end()
    assert key_of(await front_end.create("late")) == "internalError"

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_placements_refused_total", reason="no_server") == 1
    assert scrape("meetingpool_requests_total", call="create", outcome="failed") == 1


async def test_meetings_and_people_are_shown_by_tenant_and_state(pool: RunningPool, front_end: FrontEnd) -> None:
    assert succeeded(await front_end.create("room"))
    (holder,) = pool.holders("room")
    for name in ("Ann", "Bob"):
        holder.arrive(holder.add_person(holder.meetings["room"], name).session_token)
    await pool.poll()

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_meetings", tenant="default") == 1
    assert scrape("meetingpool_people", tenant="default") == scrape("bbb_meetings_participants", server=holder.name)
    assert scrape("meetingpool_meetings_by_state", state="live") == 1
    assert scrape("meetingpool_meetings_by_state", state="unknown") == 0


async def test_archives_are_counted_from_the_spool_to_the_library(
    pool: RunningPool, front_end: FrontEnd, tmp_path: object
) -> None:
    spool = front_end.gateway.settings.spool_dirs[0]
    async with pool.database.transaction() as connection:
        await imports.note_look(connection, spool, 3)
        for name in ("a", "b", "c"):
            await imports.add_import(connection, spool=spool, name=f"{name}.tar", file=name, size=1, mtime_ns=1, quiet_for=9.0)
        taken = await imports.take_import(connection, "a worker")
        assert taken is not None
        await imports.quarantine_import(connection, taken, "not_a_recording", "no")
        done = await imports.take_import(connection, "a worker")
        assert done is not None
        await imports.finish_import(connection, done)
    async with pool.database.transaction() as connection:
        assert {each.state for each in await imports.list_imports(connection, list(ImportState))} == {
            ImportState.QUARANTINED,
            ImportState.DONE,
            ImportState.WAITING,
        }

    scrape = await scraped(pool, front_end)

    assert [scrape("meetingpool_spool_files", state=state) for state in ("unclaimed", "waiting", "working")] == [3, 1, 0]
    assert scrape("meetingpool_quarantine_files") == 1
    assert scrape("meetingpool_recording_import_seconds_count") == 1
    assert scrape("meetingpool_recording_import_seconds_bucket", le="5.0") == 1
    assert 0 <= scrape("meetingpool_spool_look_age_seconds") < 60


async def test_how_long_imports_took_is_added_up_and_outlives_their_rows(pool: RunningPool, front_end: FrontEnd) -> None:
    for number, age in enumerate((timedelta(seconds=2), timedelta(minutes=4), timedelta(days=2))):
        async with pool.database.transaction() as connection:
            spool = front_end.gateway.settings.spool_dirs[0]
            await imports.add_import(connection, spool=spool, name="a", file=f"file-{number}", size=1, mtime_ns=1, quiet_for=0.0)
            await connection.execute("UPDATE imports SET claimed_at = now() - $1::interval", age)
            taken = await imports.take_import(connection, "a worker")
            assert taken is not None
            await imports.finish_import(connection, taken)
            await connection.execute("DELETE FROM imports")

    scrape = await scraped(pool, front_end)

    bounds = ("5.0", "60.0", "300.0", "86400.0", "+Inf")
    assert [scrape("meetingpool_recording_import_seconds_bucket", le=bound) for bound in bounds] == [1, 1, 2, 2, 3]
    assert scrape("meetingpool_recording_import_seconds_sum") == pytest.approx(2 + 240 + 172_800, abs=5)


async def test_without_the_database_what_processes_count_is_shown_all_the_same(
    pool: RunningPool, front_end: FrontEnd, database_url: str
) -> None:
    await front_end.create("room")
    await front_end.gateway.database.close()
    await pool.database.close()
    maintenance, name = with_database(database_url, "postgres"), make_url(database_url).database
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

    scrape = await scraped(pool, front_end)

    assert scrape("meetingpool_database_up") == 0
    assert scrape("meetingpool_requests_total", call="create", outcome="ok") == 1
    assert "bbb_meetings" not in scrape.names
    assert (await ask(pool, front_end, "/leader")).status_code == 503
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_strangers_are_told_nothing_and_those_with_a_token_everything(pool: RunningPool, front_end: FrontEnd) -> None:
    auditor = await token_for(pool, Role.AUDITOR)
    refused = await ask(pool, front_end, "/metrics", address=STRANGER)

    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "meetingpool_" not in refused.text
    for wrong in ("mp_wrong", SECRET, f"{auditor}x", ""):
        assert (await ask(pool, front_end, "/metrics", address=STRANGER, token=wrong)).status_code == 401
    right = await ask(pool, front_end, "/metrics", address=STRANGER, token=auditor)
    assert Scrape(right.text)("meetingpool_database_up") == 1
    async with changing(pool.database, SOMEBODY) as change:
        await revoke_token(change, "a auditor")
    assert (await ask(pool, front_end, "/metrics", address=STRANGER, token=auditor)).status_code == 401


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        ("10.0.0.0/8,2001:db8::/32", "10.1.2.3", 200),
        ("10.0.0.0/8,2001:db8::/32", "2001:db8::5", 200),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 200),
        ("10.0.0.0/8", "127.0.0.1", 401),
        ("10.0.0.0/8", "11.0.0.1", 401),
        ("10.0.0.0/8", "not an address", 401),
        ("none", "127.0.0.1", 401),
    ],
)
async def test_the_administrator_says_from_where_metrics_are_open(
    database_url: str, networks: str, address: str, status: int
) -> None:
    async with running_pool(database_url, servers=1, metrics_networks=networks) as pool:
        front_end = await pool.front_end()

        assert (await ask(pool, front_end, "/metrics", address=address)).status_code == status


def test_by_default_metrics_are_open_to_this_machine_only() -> None:
    assert Settings().metrics_networks == ("127.0.0.0/8", "::1/128")


async def test_the_leader_is_told_by_a_status_and_named_to_those_who_may_watch(pool: RunningPool, front_end: FrontEnd) -> None:
    assert (await ask(pool, front_end, "/leader")).status_code == 503
    async with pool.database.transaction() as connection:
        epoch = await acquire_lease(connection, LEASE, "host-a:123:0a1b2c3d", 9.0)
    assert epoch is not None

    told = (await ask(pool, front_end, "/leader")).json()
    assert (told["leader"], told["epoch"], told["status"]) == ("host-a:123", epoch, "led")
    stranger = await ask(pool, front_end, "/leader", address=STRANGER)
    assert (stranger.status_code, stranger.json()) == (200, {"status": "led"})
    scrape = await scraped(pool, front_end)
    assert scrape("meetingpool_is_leader", holder="host-a:123") == 1
    assert scrape("meetingpool_leader_changes_total") == epoch

    async with pool.database.transaction() as connection:
        await release_lease(connection, LEASE, "host-a:123:0a1b2c3d", epoch)
    assert (await ask(pool, front_end, "/leader")).status_code == 503
    assert (await scraped(pool, front_end))("meetingpool_is_leader", holder="host-a:123") == 0
    leader = await read_leader(pool.database)
    assert leader is not None
    assert not leader.leads


@pytest.mark.parametrize(("host", "address", "status"), [("host-a", "127.0.0.1", 200), ("host-b", "127.0.0.1", 503)])
async def test_whether_a_host_leads_can_be_asked(
    pool: RunningPool, front_end: FrontEnd, host: str, address: str, status: int
) -> None:
    async with pool.database.transaction() as connection:
        await acquire_lease(connection, LEASE, "host-a:123:0a1b2c3d", 9.0)

    assert (await ask(pool, front_end, f"/leader?host={host}", address=address)).status_code == status
    assert (await ask(pool, front_end, f"/leader?host={host}", address=STRANGER)).status_code == 503


async def test_an_answer_carries_the_id_under_which_something_was_logged(pool: RunningPool, logged: list[Event]) -> None:
    front_end = await pool.front_end()
    front_end.http = httpx.AsyncClient(
        transport=httpx.ASGITransport(BoundedRequests(pool.application(front_end.gateway), 10)),
        headers={"x-request-id": "proxy-77"},
    )
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_after=True, calls=frozenset({"create"})))

    async with front_end.http:
        answer = await front_end.get("create", meetingID="room", name="A room")
        quiet = await front_end.get("getMeetings")

    assert answer.headers["x-request-id"] == "proxy-77"
    assert [event["request_id"] for event in logged if event["event"] == "create_outcome_unknown"] == ["proxy-77"]
    assert "x-request-id" not in quiet.headers
