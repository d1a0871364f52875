"""What becomes of the events that servers bring: proved, told once and in order, to those whose meeting it is."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from meetingpool.bbb.callbacks import MAX_HOOK_BYTES
from meetingpool.bbb.checksum import Algorithm
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.hooks import HookForm, hook_path
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.servers import ServerId
from simulator.faults import Faults, OutwardFaults
from tests.callbacks import CallbackPool, callback_pool, delivering
from tests.hooks import FORM, Told, an_event, bring, checksum_of, hook_at, own_path, post_of, register, tenants_pool
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.integration.simulator.receiving import Receiver, eventually
from tests.logs import Event, names_of
from tests.pool import SECRET, meeting_row, read, succeeded


@pytest.fixture
async def callbacks(database_url: str) -> AsyncIterator[CallbackPool]:
    async with callback_pool(database_url) as callbacks:
        yield callbacks


@pytest.fixture
async def two_servers(database_url: str) -> AsyncIterator[CallbackPool]:
    async with callback_pool(database_url, servers=2) as callbacks:
        yield callbacks


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[CallbackPool]:
    """With the tenants a and b."""
    async with tenants_pool(database_url) as callbacks:
        yield callbacks


async def told(receiver: Receiver) -> Told:
    return Told(await receiver.next())


async def test_what_happens_on_a_server_reaches_the_front_end(callbacks: CallbackPool) -> None:
    url = f"{callbacks.receiver.origin}/events?token=t"
    await hook_at(callbacks.front_end, url)
    await register(callbacks)
    (server,) = callbacks.servers
    async with delivering(callbacks.pool):
        created = await callbacks.front_end.create(
            "room", moderatorPW="mp", meta_context="a course", meta_endCallbackUrl="https://lms.example.org/end"
        )
        first = await told(callbacks.receiver)
        person = server.add_person(server.meetings["room"], "Ada")
        server.leave(person.session_token)
        await callbacks.front_end.ask("end", meetingID="room")
        others = [await told(callbacks.receiver) for _ in range(3)]
        internal_id = created.findtext("internalMeetingID") or ""
        server.publish_recording(internal_id)
        published = await told(callbacks.receiver)

    assert first.call.method == "POST"
    assert first.call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert [name for name, _ in first.fields] == ["domain", "event", "timestamp"]
    assert dict(first.fields)["domain"] == "127.0.0.1"
    assert dict(first.fields)["timestamp"].isdigit()
    assert [each.id for each in (first, *others)] == ["meeting-created", "user-joined", "user-left", "meeting-ended"]
    assert all(each.is_signed(url, SECRET) for each in (first, *others, published))
    assert first.call.target.startswith("/events?token=t&checksum=")
    assert first.meeting["moderator-pass"] == "mp"
    assert first.meeting["metadata"] == {"context": "a course", "endcallbackurl": "https://lms.example.org/end"}
    assert {(each.meeting["external-meeting-id"], each.meeting["internal-meeting-id"]) for each in (first, *others)} == {
        ("room", internal_id)
    }
    assert published.id == "rap-publish-ended"


async def test_nothing_of_one_tenant_reaches_another_and_each_hears_of_its_own_ids(tenants: CallbackPool) -> None:
    (server,) = tenants.servers
    front_ends = {name: TenantFrontEnd(tenants.front_end, name) for name in ("a", "b")}
    async with Receiver.running() as receiver_of_b:
        receivers = {"a": tenants.receiver, "b": receiver_of_b}
        for name, front_end in front_ends.items():
            await hook_at(front_end, f"{receivers[name].origin}/{name}")
        await register(tenants)
        async with delivering(tenants.pool):
            for name, front_end in front_ends.items():
                await front_end.create("room", meta_whose=name)
            for meeting in list(server.meetings.values()):
                server.add_person(meeting, meeting.settings.metadata["whose"])
            heard = {name: [await told(receivers[name]) for _ in range(2)] for name in front_ends}
            await eventually(lambda: server.outward_counts["webhook_delivered"] == 4)
            await tenants.until_states(*["delivered"] * 4)
    for name, events in heard.items():
        assert receivers[name].is_idle
        assert [event.id for event in events] == ["meeting-created", "user-joined"]
        for event in events:
            assert event.meeting["external-meeting-id"] == "room"
            assert event.is_signed(f"{receivers[name].origin}/{name}", f"secret of {name}")
            sent = f"{event.call.target} {event.call.body.decode()}".lower()
            ours = (host_id_of(MeetingKey(f"id-of-{name}", "room")), server.secret, "meetingpool", "tenant", "/callbacks/")
            assert not [canary for canary in ours if canary in sent]
        assert events[0].meeting["metadata"] == {"whose": name}
        assert events[1].events[0]["data"]["attributes"]["user"]["name"] == name


async def test_a_hook_hears_of_what_it_asked_for(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    for path, parameters in {
        "all": {},
        "one": {"meetingID": "one"},
        "left": {"eventID": "User-LEFT,poll-started"},
        "none": {"meetingID": "one", "eventID": "poll-started"},
    }.items():
        await hook_at(callbacks.front_end, f"{callbacks.receiver.origin}/{path}", **parameters)
    for meeting_id in ("one", "two"):
        await callbacks.front_end.create(meeting_id)
        await bring(callbacks, server, an_event(meeting_id, "user-joined"), an_event(meeting_id, "user-left"))
    async with delivering(callbacks.pool):
        calls = [await told(callbacks.receiver) for _ in range(8)]
    assert callbacks.receiver.is_idle
    assert sorted((each.call.target.split("?")[0], each.meeting["external-meeting-id"], each.id) for each in calls) == [
        ("/all", "one", "user-joined"),
        ("/all", "one", "user-left"),
        ("/all", "two", "user-joined"),
        ("/all", "two", "user-left"),
        ("/left", "one", "user-left"),
        ("/left", "two", "user-left"),
        ("/one", "one", "user-joined"),
        ("/one", "one", "user-left"),
    ]


async def test_raw_events_reach_those_who_want_them_raw_by_either_name(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    for path, event_ids in {"all": "", "ids": "meeting-ended", "names": "MeetingCreatedEvtMsg"}.items():
        await hook_at(callbacks.front_end, f"{callbacks.receiver.origin}/{path}", getRaw="true", eventID=event_ids)
    await register(callbacks)
    assert [hook.wants_raw for hook in server.hooks.values()].count(True) == 1
    async with delivering(callbacks.pool):
        await callbacks.front_end.create("room")
        await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")
        await callbacks.front_end.ask("end", meetingID="room")
        calls = [await told(callbacks.receiver) for _ in range(4)]
    assert callbacks.receiver.is_idle
    assert sorted((each.call.target.split("?")[0], each.events[0]["core"]["header"]["name"]) for each in calls) == [
        ("/all", "MeetingCreatedEvtMsg"),
        ("/all", "MeetingDestroyedEvtMsg"),
        ("/ids", "MeetingDestroyedEvtMsg"),
        ("/names", "MeetingCreatedEvtMsg"),
    ]


async def test_a_raw_event_that_comes_before_the_server_has_answered_finds_its_meeting(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin, getRaw="true")
    await register(callbacks)
    await callbacks.pool.fleet.set_faults(server, Faults(reply_delay=0.5, calls=frozenset({"create"})))
    creating = asyncio.create_task(callbacks.front_end.create("room"))
    await eventually(lambda: "room" in server.meetings)
    server.add_person(server.meetings["room"], "Ada")
    await eventually(lambda: server.outward_counts["webhook_delivered"] == 4)
    assert not creating.done()
    assert [kept.meeting_id for kept in await callbacks.kept()] == ["room"] * 2
    await creating


async def test_a_raw_event_that_comes_after_its_meeting_was_forgotten_still_finds_it(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin, getRaw="true")
    created = await callbacks.front_end.create("room")
    internal_id = created.findtext("internalMeetingID") or ""
    server.end(server.meetings["room"])
    await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")
    await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED))
    assert await meeting_row(callbacks.pool.database, "room") is None

    late = {"envelope": {"timestamp": 1}, "core": {"header": {"name": "MeetingDestroyedEvtMsg", "meetingId": internal_id}}}
    await bring(callbacks, server, late, path=own_path(callbacks, server, HookForm.RAW))
    assert [(kept.meeting_id, kept.kind) for kept in await callbacks.kept()] == [("room", "hook-event")]


async def test_what_a_server_brings_twice_is_told_once(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    server.outward_faults = OutwardFaults(twice=True)
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await register(callbacks)
    async with delivering(callbacks.pool):
        await callbacks.front_end.create("room")
        await eventually(lambda: server.outward_counts["webhook_delivered"] == 2)
        await callbacks.until_states("delivered")
        # After a restart of bbb-webhooks the event is the same, and the post another.
        event = an_event("room", ts=5)
        for timestamp in (6, 7):
            await bring(callbacks, server, body=post_of(event, timestamp=timestamp))
        await callbacks.until_states("delivered", "delivered")
        assert [(await told(callbacks.receiver)).id for _ in range(2)] == ["meeting-created", "user-joined"]
    assert callbacks.receiver.is_idle


async def test_a_batch_is_kept_in_its_order_and_as_the_server_wrote_it(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    events = [an_event("room", f"event-{number}", ts=number, zebra=number, apple="ü\u0000\U0001f600") for number in range(300)]
    assert (await bring(callbacks, server, *events)).status_code == 200
    async with delivering(callbacks.pool):
        heard = [await told(callbacks.receiver) for _ in range(10)]
    assert [each.events for each in heard] == [[event] for event in events[:10]]
    assert list(heard[0].events[0]["data"]["attributes"]) == ["meeting", "zebra", "apple"]
    assert len(await callbacks.kept()) == 300


async def test_a_meeting_that_ended_by_its_event_is_looked_for_and_forgotten(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")
    ended = an_event("room", "meeting-ended")

    assert (await bring(callbacks, server, ended)).status_code == 200
    assert await meeting_row(callbacks.pool.database, "room") is not None

    server.outward_faults = OutwardFaults(never=True)
    server.end(server.meetings["room"])
    assert (await bring(callbacks, server, ended)).status_code == 200
    assert await meeting_row(callbacks.pool.database, "room") is None
    # It was told once.
    assert len(await callbacks.kept()) == 1


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_a_server_may_sign_with_every_algorithm(callbacks: CallbackPool, algorithm: Algorithm) -> None:
    (server,) = callbacks.servers
    server.hook_algorithm = algorithm
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await register(callbacks)
    await callbacks.front_end.create("room")
    await callbacks.until_states("pending")


async def test_a_server_may_send_its_secret_as_a_bearer_token(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    server.hook_algorithm = None
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await register(callbacks)
    await callbacks.front_end.create("room")
    await callbacks.until_states("pending")
    path, body = own_path(callbacks, server), post_of(an_event("room"))
    for token in ("wrong", "", SECRET):
        headers = {**FORM, "authorization": f"Bearer {token}"}
        assert (await callbacks.call(path, "POST", content=body, headers=headers)).status_code == 401
    assert len(await callbacks.kept()) == 1


async def test_what_is_not_proved_is_refused_and_nothing_is_kept(two_servers: CallbackPool) -> None:
    callbacks = two_servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    own, other = sorted(callbacks.servers, key=lambda server: "room" not in server.meetings)
    event, path = an_event("room"), own_path(callbacks, own)
    body = post_of(event)
    right = checksum_of(callbacks.url + path, body, own.secret)

    answers = [
        # The secret of another server, or of a front end; for another address, or another form.
        await bring(callbacks, own, event, secret=other.secret),
        await bring(callbacks, own, event, secret=SECRET),
        await bring(callbacks, other, event, path=path),
        await bring(callbacks, own, event, path=path[:-1] + ("0" if path[-1] != "0" else "1")),
        await bring(callbacks, own, event, path=own_path(callbacks, other)),
        await bring(callbacks, own, event, path=path.replace(own.name, other.name)),
        await bring(callbacks, own, event, path=hook_path(b"another key", ServerId(own.name), HookForm.PROCESSED)),
        await callbacks.call(f"{path}?checksum={right}", "POST", content=body + b"&x=1", headers=FORM),
        await callbacks.call(f"{path}?checksum={right[:-1]}", "POST", content=body, headers=FORM),
        await callbacks.call(f"{path}?checksum={right}&checksum={right}", "POST", content=body, headers=FORM),
        await callbacks.call(f"{path}?checksum=", "POST", content=body, headers=FORM),
        await callbacks.call(path, "POST", content=body, headers=FORM),
    ]

    assert [answer.status_code for answer in answers] == [401] * len(answers)
    assert await callbacks.kept() == []
    assert (await callbacks.call(f"{path}?checksum={right}", "POST", content=body, headers=FORM)).status_code == 200
    assert len(await callbacks.kept()) == 1


async def test_what_is_no_such_post_is_refused_by_its_status(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    path = own_path(callbacks, server)

    for method in ("GET", "HEAD", "PUT"):
        assert (await callbacks.call(path, method)).status_code == 405
    assert (await callbacks.call(path, "POST", content=b"{}", headers={"content-type": "application/json"})).status_code == 415
    zipped = {**FORM, "content-encoding": "gzip"}
    assert (await callbacks.call(path, "POST", content=b"", headers=zipped)).status_code == 415
    assert (await bring(callbacks, server, body=b"x" * (MAX_HOOK_BYTES + 1))).status_code == 413
    nested = urlencode({"event": "[" * 10_000 + "]" * 10_000, "timestamp": "1"}).encode()
    for body in (b"", b"\xff", b"event=[]", b"timestamp=1", b"event=[]&timestamp=x", b"event=nonsense&timestamp=1", nested):
        assert (await bring(callbacks, server, body=body)).status_code == 400
    assert await callbacks.kept() == []


async def test_a_server_that_left_the_pool_is_not_found(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    path = hook_path(callbacks.front_end.gateway.placer.callback_key, ServerId("gone"), HookForm.PROCESSED)
    assert (await bring(callbacks, server, an_event("room"), path=path)).status_code == 404


async def test_what_is_about_no_meeting_of_ours_is_dropped(two_servers: CallbackPool) -> None:
    callbacks = two_servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    own, other = sorted(callbacks.servers, key=lambda server: "room" not in server.meetings)
    strange = [
        an_event("unknown"),
        an_event("ro\u0000om"),
        an_event("x" * 10_000),
        {"data": {"id": "user-joined", "attributes": {"meeting": "room"}}},
        {"data": "room"},
        {},
        [],
        "room",
        17,
    ]
    assert (await bring(callbacks, own, *strange)).status_code == 200
    # A copy that came back on a server that is no longer the meeting's.
    assert (await bring(callbacks, other, an_event("room"))).status_code == 200
    assert await callbacks.kept() == []


async def test_events_of_a_recording_come_from_a_server_that_had_the_meeting_before(two_servers: CallbackPool) -> None:
    callbacks = two_servers
    await hook_at(callbacks.front_end, callbacks.receiver.origin)
    await callbacks.front_end.create("room")
    (before,) = callbacks.pool.holders("room")
    (now,) = [server for server in callbacks.servers if server is not before]
    before.end(before.meetings["room"])
    await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")
    await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED))
    # Over, and nowhere yet: its last server is still believed.
    assert (await bring(callbacks, before, an_event("room", "meeting-ended"))).status_code == 200

    await callbacks.pool.change_server(before, admin_state="cordoned")
    view = callbacks.front_end.gateway.view.pool
    await eventually(lambda: view.servers[ServerId(before.name)].admin_state == "cordoned")
    await callbacks.front_end.create("room")
    assert callbacks.pool.holders("room") == [now]
    await bring(callbacks, before, an_event("room", "user-joined"), an_event("room", "rap-publish-ended"))
    await bring(callbacks, now, an_event("room", "user-left"))

    async with delivering(callbacks.pool):
        heard = [(await told(callbacks.receiver)).id for _ in range(3)]
    assert callbacks.receiver.is_idle
    assert heard == ["meeting-ended", "rap-publish-ended", "user-left"]


async def test_a_server_reaches_us_at_the_address_that_a_front_end_used_where_none_is_configured(database_url: str) -> None:
    async with callback_pool(database_url, public_url=None) as callbacks:
        host = callbacks.url.removeprefix("http://")
        checksum = hashlib.sha1(
            f"hooks/createcallbackURL={callbacks.receiver.origin}{SECRET}".encode(), usedforsecurity=False
        ).hexdigest()
        url = f"http://{host}/bigbluebutton/api/hooks/create?callbackURL={callbacks.receiver.origin}&checksum={checksum}"
        assert succeeded(read(await callbacks.front_end.http.get(url)))
        await register(callbacks)
        (server,) = callbacks.servers
        assert [hook.callback_url for hook in server.hooks.values()] == [callbacks.url + own_path(callbacks, server)]
        await callbacks.front_end.create("room")
        await callbacks.until_states("pending")


async def test_no_query_of_an_address_and_no_secret_is_logged(callbacks: CallbackPool, logged: list[Event]) -> None:
    (server,) = callbacks.servers
    await hook_at(callbacks.front_end, f"{callbacks.receiver.origin}/?token=canary")
    await register(callbacks)
    callbacks.receiver.answers.extend(["500 Oops"])
    async with delivering(callbacks.pool):
        await callbacks.front_end.create("room")
        await callbacks.receiver.next()
        await callbacks.last_error()
    await bring(callbacks, server, an_event("room"), secret="wrong")
    proof = own_path(callbacks, server).rpartition("/")[2]
    assert "callback_failed" in names_of(logged)
    for canary in ("canary", "checksum=", server.secret, SECRET, proof):
        assert canary not in str(logged)
