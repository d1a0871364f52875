"""What one tenant says, or somebody who holds one signed URL, changes nothing for others."""

import asyncio
from collections.abc import AsyncIterator
from time import process_time
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from gateway.limits import BoundedRequests
from meetingpool.bbb.checksum import sign
from meetingpool.database.outbox import announce, claim_due
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.servers import Health
from meetingpool.domain.tenants import Tenant
from simulator.faults import Faults, OutwardFaults
from tests.callbacks import callback_pool
from tests.integration.gateway.test_dial_in import Caller
from tests.integration.gateway.test_tenants import TenantFrontEnd, both
from tests.pool import SECRET, FrontEnd, RunningPool, key_of, running_pool, succeeded

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[RunningPool]:
    """Two servers, and the tenants a and b, of which b may have five meetings."""
    async with running_pool(database_url, servers=2, multitenancy_enabled=True) as pool:
        async with pool.database.transaction() as connection:
            for name, limit in (("a", None), ("b", 5)):
                tenant = Tenant(id=f"id-of-{name}", name=name, secrets=(f"secret of {name}",), max_meetings=limit)
                await insert_tenant(connection, tenant)
        yield pool


async def enter(front_end: TenantFrontEnd, meeting_id: str, **more: str) -> None:
    """Somebody joins, and arrives."""
    sent = await front_end.get("join", fullName="Eve", role="VIEWER", meetingID=meeting_id, **more)
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(sent.headers["location"])).status_code == 200


async def listed(front_end: TenantFrontEnd) -> list[str | None]:
    return [element.text for element in (await front_end.ask("getMeetings")).iterfind("meetings/meeting/meetingID")]


async def test_what_a_person_brings_along_makes_no_poll_fail(tenants: RunningPool) -> None:
    _, b = await both(tenants)
    await b.create("room")
    await enter(b, "room", **{"userdata-attendees": "x"})
    for _ in range(3):
        await tenants.poll()
    assert {server.health for server in (await tenants.servers()).values()} == {Health.ONLINE}


async def test_what_a_person_brings_along_keeps_nobody_else_out(tenants: RunningPool) -> None:
    a, b = await both(tenants)
    rooms = [f"a-{number}" for number in range(4)]
    for room in rooms:
        await a.create(room)
    await b.create("room")
    await enter(b, "room", **{"userdata-attendees": "x"})
    for _ in range(6):
        await tenants.poll()
        async with tenants.database.transaction() as connection:
            await connection.execute("UPDATE servers SET failing_since = failing_since - interval '20 seconds'")
    other = await tenants.front_end()
    joins = [await TenantFrontEnd(other, "a").get("join", meetingID=room, fullName="Ann", role="VIEWER") for room in rooms]
    assert [join.status_code for join in joins] == [302] * 4


@pytest.mark.parametrize("name", ["meta_meeting", "meta_meetings", "meta_response"])
async def test_metadata_of_one_tenant_hides_no_meeting_of_another(tenants: RunningPool, name: str) -> None:
    a, b = await both(tenants)
    for number in range(4):
        await b.create(f"b-{number}", **{name: "x"})
    for number in range(4):
        await a.create(f"a-{number}")
    assert sorted(map(str, await listed(a))) == [f"a-{number}" for number in range(4)]


@pytest.mark.parametrize("name", ["userdata-meeting", "userdata-meetings"])
async def test_what_a_person_brings_along_hides_no_meeting_of_another(tenants: RunningPool, name: str) -> None:
    a, b = await both(tenants)
    for number in range(4):
        await b.create(f"b-{number}")
        await enter(b, f"b-{number}", **{name: "x"})
    for number in range(4):
        await a.create(f"a-{number}")
    assert sorted(map(str, await listed(a))) == [f"a-{number}" for number in range(4)]


async def test_metadata_named_like_its_element_shows_nothing_of_ours(tenants: RunningPool) -> None:
    a, _ = await both(tenants)
    given = {"meta_endCallbackUrl": "https://lms.example.org/ended", "meta_metadata": "x"}
    await a.create("room", **given)
    for answer in (await a.get("getMeetingInfo", meetingID="room"), await a.get("getMeetings")):
        assert b"https://lms.example.org/ended" in answer.content
        assert b"meetingpool-" not in answer.content
        assert b"/bigbluebutton/callbacks/" not in answer.content


async def test_a_signed_call_cannot_be_sent_as_a_form_that_says_less(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    await front_end.create("room")
    signed = "avatarURL=&errorRedirectUrl=&excludeFromDashboard=true&fullName=Bob&guest=true&guestx=1&meetingID=room&role=VIEWER"
    checksum = sign("join", signed.encode(), SECRET)
    url = "http://gateway/bigbluebutton/api/join"
    honest = await front_end.http.get(f"{url}?{signed}&checksum={checksum}")
    assert parse_qs(urlsplit(honest.headers["location"]).query)["guest"] == ["true"]
    form = signed.replace("guest=true&guestx=1", "guest%3Dtrue%26guestx=1")
    answer = await front_end.http.request("GET", f"{url}?checksum={checksum}", content=form.encode(), headers=FORM)
    assert "location" not in answer.headers, parse_qs(urlsplit(answer.headers["location"]).query)


async def test_a_form_of_many_fields_costs_a_stranger_as_much_as_it_costs_us(pool: RunningPool) -> None:
    front_end = await pool.front_end()

    async def cost(form: bytes) -> float:
        began = process_time()
        answer = await front_end.http.post("http://gateway/bigbluebutton/api/create?checksum=0", content=form, headers=FORM)
        assert b"SUCCESS" not in answer.content
        return process_time() - began

    one_field = min([await cost(b"a=" + b"b" * 250_000) for _ in range(3)])
    assert await cost(b"b&" * 125_000) < max(0.05, 20 * one_field)


async def test_many_creates_of_a_limited_tenant_at_once_do_not_wait_for_each_others_connections(tenants: RunningPool) -> None:
    _, b = await both(tenants)
    # Others have filled the servers a moment ago.
    async with tenants.database.transaction() as connection:
        await connection.execute("UPDATE servers SET load = load + 100")
    answers = await asyncio.gather(*(b.create(f"room-{number}") for number in range(20)))
    keys = sorted(key_of(answer) or "" for answer in answers)
    assert keys == [""] * 5 + ["maxConcurrent"] * 15


async def test_meetings_that_have_ended_take_no_room_of_their_tenant(tenants: RunningPool) -> None:
    _, b = await both(tenants)
    for number in range(5):
        await b.create(f"room-{number}", moderatorPW="mp")
        assert succeeded(await b.ask("end", meetingID=f"room-{number}", password="mp"))
        assert key_of(await b.ask("getMeetingInfo", meetingID=f"room-{number}")) == "notFound"
    await tenants.poll()
    assert succeeded(await b.create("another"))


async def test_callbacks_of_one_tenant_do_not_keep_those_of_another_waiting(tenants: RunningPool) -> None:
    async with tenants.database.transaction() as connection:
        for number in range(100):
            await announce(connection, _announcement("id-of-b", f"http://h{number}.b.example/ended", number))
        await announce(connection, _announcement("id-of-a", "http://a.example/ended", 0))
    async with tenants.database.transaction() as connection:
        taken = await claim_due(connection, list(CallbackKind), limit=16, per_host=2, under_way={})
    assert "id-of-a" in {due.tenant for due in taken}


def _announcement(tenant: str, url: str, number: int) -> Announcement:
    kind = CallbackKind.MEETING_ENDED
    return Announcement(kind=kind, tenant=tenant, meeting_id="room", url=url, payload={}, subject=(str(number),))


async def test_a_caller_does_not_choose_by_its_host_header_whom_servers_call(tenants: RunningPool) -> None:
    front_end = await tenants.front_end()
    query = "meetingID=room&name=A+room&meta_analytics-callback-url=https://lms.example.org/"
    checksum = sign("create", query.encode(), "secret of b")
    url = f"http://gateway/t/b/bigbluebutton/api/create?{query}&checksum={checksum}"
    await front_end.http.get(url, headers={"host": "169.254.169.254:8080"})
    (create,) = (request for server in tenants.fleet.servers for request in server.requests if request.call == "create")
    assert "169.254.169.254" not in create.parameters["meta_analytics-callback-url"]


async def test_a_meeting_is_told_of_at_its_own_address_though_it_was_made_anew_meanwhile(database_url: str) -> None:
    async with callback_pool(database_url) as callbacks:
        (server,) = callbacks.servers
        server.outward_faults = OutwardFaults(never=True)
        first, second = callbacks.addresses(ended="/first"), callbacks.addresses(ended="/second")
        await callbacks.front_end.create("room", **first)
        server.end(server.meetings["room"])
        assert key_of(await callbacks.front_end.ask("getMeetingInfo", meetingID="room")) == "notFound"
        await callbacks.front_end.create("room", **second)
        # The server gets round to telling of the first.
        await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED, 0))
        assert [urlsplit(kept.url).path for kept in await callbacks.kept()] == ["/first"]


async def test_a_meeting_made_anew_is_told_of_at_its_own_address_though_the_reply_to_its_create_was_lost(
    database_url: str,
) -> None:
    async with callback_pool(database_url) as callbacks:
        (server,) = callbacks.servers
        server.outward_faults = OutwardFaults(never=True)
        first, second = callbacks.addresses(ended="/first"), callbacks.addresses(ended="/second")
        await callbacks.front_end.create("room", **first)
        server.end(server.meetings["room"])
        assert key_of(await callbacks.front_end.ask("getMeetingInfo", meetingID="room")) == "notFound"
        await callbacks.pool.fleet.set_faults(server, Faults(drop_after=True, calls=frozenset({"create"})))
        assert not succeeded(await callbacks.front_end.create("room", **second))
        await callbacks.pool.fleet.set_faults(server, Faults())
        await callbacks.pool.poll()
        assert succeeded(await callbacks.front_end.create("room", **second))
        await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED, 1))
        assert [urlsplit(kept.url).path for kept in await callbacks.kept()] == ["/second"]


async def test_a_tenant_whose_server_hangs_takes_not_all_places(tenants: RunningPool) -> None:
    tenants.settings = msgspec.structs.replace(tenants.settings, max_requests=20)
    a, b = await both(tenants)
    await b.create("room")
    await a.create("room")
    for server in tenants.fleet.servers:
        await tenants.fleet.set_faults(server, Faults(hang=True))
    app = BoundedRequests(tenants.application(a.gateway), tenants.settings.max_requests)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        a, b = (TenantFrontEnd(FrontEnd(http, a.gateway), name) for name in ("a", "b"))
        asked = (b.get("getMeetingInfo", meetingID="room", x=str(number)) for number in range(20))
        waiting = [asyncio.create_task(one) for one in asked]
        await asyncio.sleep(0.3)
        joined = await a.get("join", meetingID="room", fullName="Ann", role="VIEWER")
        await asyncio.gather(*waiting)
    assert joined.status_code == 302


@pytest.mark.parametrize("call", ["create", "join"])
async def test_characters_that_xml_cannot_hold_reach_no_server(tenants: RunningPool, call: str) -> None:
    _, b = await both(tenants)
    await b.create("room")
    answer = await b.get(call, meetingID="room" if call == "join" else "other", name="A\ufffe", fullName="A\ufffe", role="VIEWER")
    sent = [value for server in tenants.fleet.servers for request in server.requests for value in request.parameters.values()]
    assert "\ufffe" not in "".join(sent)
    assert "%EF%BF%BE" not in answer.headers.get("location", "")


@pytest.mark.parametrize("name", ["userdata-1x", "userdata-a>b", "userdata-a b"])
async def test_names_that_cannot_be_elements_reach_no_server(tenants: RunningPool, name: str) -> None:
    _, b = await both(tenants)
    await b.create("room")
    sent = await b.get("join", meetingID="room", fullName="Eve", role="VIEWER", **{name: "x"})
    assert name not in parse_qs(urlsplit(sent.headers["location"]).query)


async def test_a_breakout_rooms_pin_does_not_lead_into_another_tenants_meeting(database_url: str) -> None:
    async with running_pool(
        database_url, servers=2, multitenancy_enabled=True, use_external_voice_bridge=True, fsapi_password=SECRET
    ) as pool:
        async with pool.database.transaction() as connection:
            for name in ("a", "b"):
                await insert_tenant(connection, Tenant(id=f"id-of-{name}", name=name, secrets=(f"secret of {name}",)))
        front_end = await pool.front_end()
        a, b = TenantFrontEnd(front_end, "a"), TenantFrontEnd(front_end, "b")
        assert (await a.create("lesson", voiceBridge="59458")).findtext("voiceBridge") == "59458"
        await b.create("trap", voiceBridge="594581")
        # The first breakout room of the lesson.
        answer = (await Caller(front_end).post(variable_pin="594581")).text
        assert "meeting_id=trap" not in answer
