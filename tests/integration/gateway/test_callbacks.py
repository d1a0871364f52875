"""What servers announce, from the server's call to the front end's: proved, once, and as the front end knows the meeting."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from meetingpool.database.tenants import delete_tenant, insert_tenant, update_tenant
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.servers import ServerId
from meetingpool.domain.tenants import Tenant
from meetingpool.outward.client import Outward
from simulator.faults import Faults, OutwardFaults
from simulator.tokens import signed_token
from tests.callbacks import CallbackPool, callback_pool, delivering
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.integration.simulator.receiving import Delivered, Receiver, eventually
from tests.logs import Event, names_of
from tests.pool import SECRET, key_of, meeting_row, succeeded
from tests.unit.simulator.test_outward_calls import verified_payload

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def callbacks(database_url: str) -> AsyncIterator[CallbackPool]:
    async with callback_pool(database_url) as callbacks:
        yield callbacks


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[CallbackPool]:
    """With the tenant a, which has two secrets."""
    async with callback_pool(database_url, multitenancy_enabled=True) as callbacks:
        async with callbacks.pool.database.transaction() as connection:
            await insert_tenant(connection, Tenant(id="id-of-a", name="a", secrets=("secret of a", "second of a")))
        await eventually(lambda: callbacks.front_end.gateway.tenants.named("a"))
        yield callbacks


async def received(callbacks: CallbackPool, number: int) -> dict[str, Delivered]:
    """So many calls, in whatever order they came, by their paths; and no more than those."""
    calls = [await callbacks.receiver.next() for _ in range(number)]
    assert callbacks.receiver.is_idle
    return {urlsplit(call.target).path: call for call in calls}


def ready_form(secret: str, *, meeting_id: str = "room", record_id: str = "record-1", alg: str = "HS256") -> bytes:
    token = signed_token({"alg": alg}, {"meeting_id": meeting_id, "record_id": record_id}, secret)
    return urlencode({"signed_parameters": token}).encode()


def bearer(callbacks: CallbackPool, secret: str, **claims: Any) -> Mapping[str, str]:
    expires = int(callbacks.pool.clock.epoch()) + 3600
    return {**JSON, "authorization": f"Bearer {signed_token({'alg': 'HS512'}, {'exp': expires, **claims}, secret)}"}


async def test_everything_that_a_server_announces_reaches_the_front_end(callbacks: CallbackPool) -> None:
    created = await callbacks.front_end.create("room", **callbacks.addresses(), meta_context="a course")
    internal_id = created.findtext("internalMeetingID") or ""
    async with delivering(callbacks.pool):
        assert succeeded(await callbacks.front_end.ask("end", meetingID="room"))
        await callbacks.bring_recording(internal_id)
        calls = await received(callbacks, 4)

    assert calls["/ended"].target == "/ended"
    assert parse_qsl(urlsplit(calls["/end"].target).query) == [
        ("token", "t"),
        ("recordingmarks", "false"),
        ("meetingID", "room"),
    ]
    (token,) = parse_qs(calls["/ready"].body.decode())["signed_parameters"]
    assert verified_payload(token, "sha256", SECRET) == {"meeting_id": "room", "record_id": internal_id}
    analytics = calls["/analytics"]
    assert analytics.headers["user-agent"] == "BigBlueButton Analytics Callback"
    assert verified_payload(analytics.headers["authorization"].removeprefix("Bearer "), "sha512", SECRET).keys() == {"exp"}
    document = json.loads(analytics.body)
    assert list(document) == ["version", "meeting_id", "internal_meeting_id", "data"]
    assert (document["meeting_id"], document["internal_meeting_id"]) == ("room", internal_id)
    assert document["data"]["metadata"] == {
        "endcallbackurl": f"{callbacks.receiver.origin}/end?token=t",
        "bbb_recording_ready_url": f"{callbacks.receiver.origin}/ready",
        "analytics_callback_url": f"{callbacks.receiver.origin}/analytics",
        "context": "a course",
        "meeting_name": "A room",
        "is_breakout": "false",
    }
    assert {kept.state for kept in await callbacks.kept()} == {"delivered"}


async def test_a_tenant_hears_of_its_own_id_signed_with_its_own_secret(tenants: CallbackPool) -> None:
    front_end = TenantFrontEnd(tenants.front_end, "a")
    created = await front_end.create("a room", **tenants.addresses())
    (server,) = tenants.servers
    (host_id,) = server.meetings
    async with delivering(tenants.pool):
        await front_end.ask("end", meetingID="a room")
        await tenants.bring_recording(created.findtext("internalMeetingID") or "")
        calls = await received(tenants, 4)

    assert dict(parse_qsl(urlsplit(calls["/end"].target).query))["meetingID"] == "a room"
    (token,) = parse_qs(calls["/ready"].body.decode())["signed_parameters"]
    assert verified_payload(token, "sha256", "secret of a")["meeting_id"] == "a room"
    assert verified_payload(calls["/analytics"].headers["authorization"].removeprefix("Bearer "), "sha512", "secret of a")
    assert json.loads(calls["/analytics"].body)["meeting_id"] == "a room"
    for call in calls.values():
        told = f"{call.target} {call.body.decode()}".lower()
        assert not [ours for ours in (host_id, server.secret, "meetingpool", "tenant", "/callbacks/") if ours in told]


@pytest.mark.parametrize("statuses", [["401 Unauthorized"], ["403 Forbidden"], ["400 Bad Request"], ["500 Oops"]])
async def test_a_front_end_that_knows_only_its_second_secret_is_told_with_that(
    tenants: CallbackPool, statuses: list[str]
) -> None:
    front_end = TenantFrontEnd(tenants.front_end, "a")
    created = await front_end.create("room", **{"meta_bbb-recording-ready-url": f"{tenants.receiver.origin}/ready"})
    tenants.servers[0].end(next(iter(tenants.servers[0].meetings.values())))
    tenants.receiver.answers.extend(statuses)
    async with delivering(tenants.pool):
        await tenants.bring_recording(created.findtext("internalMeetingID") or "")
        first, second = [await tenants.receiver.next() for _ in range(2)]
    for call, secret in ((first, "secret of a"), (second, "second of a")):
        (token,) = parse_qs(call.body.decode())["signed_parameters"]
        assert verified_payload(token, "sha256", secret)
    assert [kept.state for kept in await tenants.kept()] == ["delivered"]


async def test_a_secret_that_was_changed_meanwhile_signs_what_was_kept_before(tenants: CallbackPool) -> None:
    front_end = TenantFrontEnd(tenants.front_end, "a")
    created = await front_end.create("room", **{"meta_bbb-recording-ready-url": f"{tenants.receiver.origin}/ready"})
    (server,) = tenants.servers
    server.end(next(iter(server.meetings.values())))
    await tenants.bring_recording(created.findtext("internalMeetingID") or "")
    async with tenants.pool.database.transaction() as connection:
        await update_tenant(connection, "id-of-a", {"secrets": ["new of a"]})
    async with delivering(tenants.pool):
        call = await tenants.receiver.next()
    (token,) = parse_qs(call.body.decode())["signed_parameters"]
    assert verified_payload(token, "sha256", "new of a")


async def test_what_is_announced_again_is_told_once(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    server.outward_faults = OutwardFaults(twice=True)
    created = await callbacks.front_end.create("room", **callbacks.addresses())
    async with delivering(callbacks.pool):
        await callbacks.front_end.ask("end", meetingID="room")
        for _ in range(2):
            await callbacks.bring_recording(created.findtext("internalMeetingID") or "")
        calls = await received(callbacks, 4)
        await eventually(lambda: server.outward_counts["analytics_delivered"] == 2)
    assert calls.keys() == {"/ended", "/end", "/ready", "/analytics"}
    assert callbacks.receiver.is_idle


async def test_two_recordings_of_a_room_are_two_announcements(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    async with delivering(callbacks.pool):
        for _ in range(2):
            created = await callbacks.front_end.create(
                "room", **{"meta_bbb-recording-ready-url": f"{callbacks.receiver.origin}/"}
            )
            internal_id = created.findtext("internalMeetingID") or ""
            server.end(server.meetings["room"])
            await callbacks.bring_recording(internal_id)
            (token,) = parse_qs((await callbacks.receiver.next()).body.decode())["signed_parameters"]
            assert verified_payload(token, "sha256", SECRET)["record_id"] == internal_id


async def test_a_wrong_signature_is_refused_and_nothing_else_happens(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await callbacks.front_end.create("room", **callbacks.addresses())
    ready, analytics = [callbacks.given_path(kind) for kind in (CallbackKind.RECORDING_READY, CallbackKind.ANALYTICS)]
    report = json.dumps({"meeting_id": "room", "internal_meeting_id": "i", "data": {}})

    answers = [
        await callbacks.call(ready, "POST", content=ready_form("wrong"), headers=FORM),
        await callbacks.call(ready, "POST", content=b"signed_parameters=", headers=FORM),
        await callbacks.call(ready, "POST", content=ready_form(server.secret, meeting_id="other"), headers=FORM),
        await callbacks.call(analytics, "POST", content=report, headers=bearer(callbacks, "wrong")),
        await callbacks.call(analytics, "POST", content=report, headers=JSON),
        await callbacks.call(analytics, "POST", content=report, headers={**JSON, "authorization": "Bearer"}),
        await callbacks.call(analytics, "POST", content=report, headers=bearer(callbacks, server.secret, exp=1)),
        await callbacks.call(
            analytics, "POST", content=report.replace("room", "other"), headers=bearer(callbacks, server.secret)
        ),
    ]

    assert [answer.status_code for answer in answers] == [401] * len(answers)
    assert await callbacks.kept() == []


async def test_a_format_that_comes_later_is_told_of_as_well(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    created = await callbacks.front_end.create("room", **{"meta_bbb-recording-ready-url": f"{callbacks.receiver.origin}/"})
    internal_id = created.findtext("internalMeetingID") or ""
    server.end(server.meetings["room"])
    async with delivering(callbacks.pool):
        for formats in (("presentation",), ("presentation", "video")):
            await callbacks.bring_recording(internal_id, *formats)
            await callbacks.receiver.next()
    assert callbacks.receiver.is_idle


async def test_what_a_server_says_of_a_recording_is_not_told_before_it_can_be_played(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    created = await callbacks.front_end.create("room", **{"meta_bbb-recording-ready-url": f"{callbacks.receiver.origin}/"})
    server.end(server.meetings["room"])
    server.publish_recording(created.findtext("internalMeetingID") or "")
    await eventually(lambda: server.outward_counts["recording_ready_delivered"])
    assert [kept.kind for kept in await callbacks.kept()] == []


async def test_a_recorder_of_another_host_may_announce_recordings_and_no_reports(database_url: str) -> None:
    async with callback_pool(database_url, servers=2) as callbacks:
        await callbacks.front_end.create("room", **callbacks.addresses())
        (other,) = [server for server in callbacks.servers if not server.meetings]
        report = json.dumps({"meeting_id": "room", "internal_meeting_id": "i", "data": {}})
        ready, analytics = [callbacks.given_path(kind) for kind in (CallbackKind.RECORDING_READY, CallbackKind.ANALYTICS)]
        told = await callbacks.call(ready, "POST", content=ready_form(other.secret), headers=FORM)
        refused = await callbacks.call(analytics, "POST", content=report, headers=bearer(callbacks, other.secret))
        assert (told.status_code, refused.status_code) == (200, 401)


@pytest.mark.parametrize("change", ["generation", "kind", "proof", "not hex", "not a number", "too short", "huge"])
async def test_an_address_that_was_not_made_here_is_refused(callbacks: CallbackPool, change: str) -> None:
    await callbacks.front_end.create("room", **callbacks.addresses())
    *start, generation, kind, proof = callbacks.given_path(CallbackKind.MEETING_ENDED).split("/")
    changed = {
        "generation": [str(int(generation) + 1), kind, proof],
        "kind": [generation, "end-callback", proof],
        "proof": [generation, kind, proof[:-1] + ("0" if proof[-1] != "0" else "1")],
        "not hex": [generation, kind, "ü" * len(proof)],
        "not a number": [f"0{generation}", kind, proof],
        "too short": [generation, kind, proof[:5]],
        "huge": ["9" * 5000, kind, proof],
    }[change]
    for method in ("GET", "POST", "DELETE"):
        assert (await callbacks.call("/".join([*start, *changed]), method)).status_code == 401
    assert await callbacks.kept() == []


async def test_an_address_of_a_placement_that_nobody_remembers_is_not_found(callbacks: CallbackPool) -> None:
    for kind, method in ((CallbackKind.MEETING_ENDED, "GET"), (CallbackKind.RECORDING_READY, "POST")):
        answer = await callbacks.call(callbacks.genuine_path(12345, kind), method)
        assert answer.status_code == 404
    assert await callbacks.kept() == []


async def test_what_is_no_such_announcement_is_refused_by_its_status(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await callbacks.front_end.create("room", **callbacks.addresses())
    ended, ready, analytics = [
        callbacks.given_path(kind) for kind in (CallbackKind.MEETING_ENDED, CallbackKind.RECORDING_READY, CallbackKind.ANALYTICS)
    ]
    signed = bearer(callbacks, server.secret)
    form = ready_form(server.secret)
    nested = '{"meeting_id": "room", "internal_meeting_id": "i", "data": ' + "[" * 10_000 + "]" * 10_000 + "}"
    beyond = '{"meeting_id": "room", "internal_meeting_id": "i", "data": 1e999}'

    assert (await callbacks.call(ended, "POST")).status_code == 405
    assert (await callbacks.call(ended, "HEAD")).status_code == 405
    assert (await callbacks.call(ready, "GET")).status_code == 405
    assert (await callbacks.call(ready, "POST", content=form, headers={"content-type": "text/plain"})).status_code == 415
    assert (await callbacks.call(ready, "POST", content=form, headers={**FORM, "content-encoding": "gzip"})).status_code == 415
    assert (await callbacks.call(ready, "POST", content=form + b"&x=" + b"x" * 70_000, headers=FORM)).status_code == 413
    assert (await callbacks.call(ready, "POST", content=b"\xff", headers=FORM)).status_code == 400
    assert (await callbacks.call(analytics, "POST", content=b"{}", headers={**signed, **FORM})).status_code == 415
    assert (await callbacks.call(analytics, "POST", content=b"x" * 10_000_000, headers=signed)).status_code == 413
    for body in ("", "[]", "{", "{}", '{"meeting_id": "room"}', nested, beyond):
        assert (await callbacks.call(analytics, "POST", content=body, headers=signed)).status_code == 400
    assert await callbacks.kept() == []


async def test_a_report_keeps_its_order_and_loses_what_no_database_can_keep(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    await callbacks.front_end.create("room", **callbacks.addresses())
    report = '{"zebra":1,"meeting_id":"room","internal_meeting_id":"i","data":{"name":"a\\u0000b \\ud800 \\ud83d\\ude00 ü"}}'
    told = await callbacks.call(
        callbacks.given_path(CallbackKind.ANALYTICS), "POST", content=report.encode(), headers=bearer(callbacks, server.secret)
    )
    assert told.status_code == 204
    async with delivering(callbacks.pool):
        document = json.loads((await callbacks.receiver.next()).body)
    assert list(document) == ["zebra", "meeting_id", "internal_meeting_id", "data"]
    assert document["data"]["name"] == "a\ufffdb \ufffd \U0001f600 ü"


async def test_an_end_is_believed_when_the_server_itself_has_no_such_meeting(callbacks: CallbackPool) -> None:
    await callbacks.front_end.create("room")
    (server,) = callbacks.servers
    await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")
    path = callbacks.given_path(CallbackKind.MEETING_ENDED)

    assert (await callbacks.call(path)).status_code == 200
    assert await meeting_row(callbacks.pool.database, "room") is not None

    server.outward_faults = OutwardFaults(never=True)
    server.end(server.meetings["room"])
    asked = server.count("getMeetingInfo")
    assert (await callbacks.call(path)).status_code == 200
    assert await meeting_row(callbacks.pool.database, "room") is None
    assert server.count("getMeetingInfo") == asked + 1
    assert callbacks.front_end.gateway.view.pool.meetings == {}


async def test_a_late_end_takes_no_meeting_away_that_was_created_anew(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    server.outward_faults = OutwardFaults(never=True)
    for _ in range(2):
        await callbacks.front_end.create("room", **callbacks.addresses())
        server.end(server.meetings["room"])
        assert key_of(await callbacks.front_end.ask("getMeetingInfo", meetingID="room")) == "notFound"
    created = await callbacks.front_end.create("room", **callbacks.addresses())
    await callbacks.execute("UPDATE meetings SET attempted_at = now() - interval '1 hour'")

    for call in range(3):
        for _ in range(2):
            assert (await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED, call))).status_code == 200
            late = f"{callbacks.given_path(CallbackKind.END_CALLBACK, call)}?recordingmarks=true&meetingID=room"
            assert (await callbacks.call(late)).status_code == 200

    row = await meeting_row(callbacks.pool.database, "room")
    assert row is not None
    assert row.internal_id == created.findtext("internalMeetingID")
    assert "room" in server.meetings
    # Each of the three was told of, once.
    assert sorted(kept.kind for kept in await callbacks.kept()) == ["end-callback"] * 3 + ["meeting-ended"] * 3


async def test_a_meeting_made_anew_on_its_server_is_told_of_at_the_address_that_came_with_it(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers
    generations = []
    async with delivering(callbacks.pool):
        for ended in ("/first", "/second"):
            await callbacks.front_end.create("room", **callbacks.addresses(ended=ended))
            generations.append(callbacks.given_path(CallbackKind.MEETING_ENDED).split("/")[3])
            server.end(server.meetings["room"])
            assert ended in await received(callbacks, 3)
    assert generations[0] == generations[1]


async def test_a_meeting_that_moved_on_keeps_the_addresses_that_came_with_it(database_url: str) -> None:
    async with callback_pool(database_url, servers=2) as callbacks:
        refusing, taking = callbacks.servers
        await callbacks.pool.change_server(taking, load=5.0)
        view = callbacks.front_end.gateway.view.pool
        await eventually(lambda: view.servers[ServerId(taking.name)].load == 5.0)
        await callbacks.pool.fleet.set_faults(refusing, Faults(refuse=True))
        await callbacks.front_end.create("room", **callbacks.addresses())
        async with delivering(callbacks.pool):
            taking.end(taking.meetings["room"])
            assert (await received(callbacks, 3)).keys() == {"/ended", "/end", "/analytics"}


@pytest.mark.parametrize(
    "address",
    ["ftp://lms.example.org/", "http://user:pw@lms.example.org/", "http://10.0.0.1/", "javascript:x", "http://127.1/x?s=canary"],
)
async def test_a_hopeless_address_is_no_reason_to_refuse_a_meeting_and_is_never_called(
    callbacks: CallbackPool, address: str, logged: list[Event]
) -> None:
    (server,) = callbacks.servers
    given = dict.fromkeys(callbacks.addresses().keys() - {"record", "meetingKeepEvents"}, address)
    assert succeeded(await callbacks.front_end.create("room", record="true", **given))
    assert names_of(logged).count("callback_ignored") == 4
    assert "canary" not in str(logged)
    server.end(server.meetings["room"])
    await eventually(lambda: server.outward_counts["end_callback_delivered"] and server.outward_counts["meeting_ended_delivered"])
    assert await callbacks.kept() == []
    info = await callbacks.front_end.create("room", **given)
    assert info.findtext("returncode") == "SUCCESS"


async def test_a_private_address_behind_a_name_is_found_when_it_is_called(database_url: str) -> None:
    async with callback_pool(database_url, callback_allow=()) as callbacks:
        await callbacks.front_end.create("room", meetingEndedURL="http://localhost:8080/ended")
        await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED))
        async with delivering(callbacks.pool, outward=Outward()):
            await callbacks.until_states("given_up")
        (kept,) = await callbacks.kept()
        assert "private or reserved network" in (kept.last_error or "")


async def test_a_tenant_is_told_at_the_hosts_that_it_may_name_only(tenants: CallbackPool) -> None:
    async with tenants.pool.database.transaction() as connection:
        await update_tenant(connection, "id-of-a", {"callback_hosts": ["lms.example.org"]})
    await TenantFrontEnd(tenants.front_end, "a").create("room", meetingEndedURL=f"{tenants.receiver.origin}/")
    await tenants.call(tenants.given_path(CallbackKind.MEETING_ENDED))
    async with delivering(tenants.pool):
        await tenants.until_states("given_up")
    assert tenants.receiver.is_idle


async def test_what_a_tenant_that_was_removed_would_have_heard_is_given_up(tenants: CallbackPool) -> None:
    await TenantFrontEnd(tenants.front_end, "a").create("room", meetingEndedURL=f"{tenants.receiver.origin}/")
    await tenants.call(tenants.given_path(CallbackKind.MEETING_ENDED))
    async with tenants.pool.database.transaction() as connection:
        await delete_tenant(connection, "id-of-a")
    async with delivering(tenants.pool):
        await tenants.until_states("given_up")
    assert [kept.last_error for kept in await tenants.kept()] == ["there is no such tenant any more"]
    assert tenants.receiver.is_idle


async def test_no_connection_is_held_while_a_front_end_is_called(callbacks: CallbackPool) -> None:
    async with delivering(callbacks.pool) as database, Receiver.running() as silent:
        silent.answers.append(None)
        await callbacks.front_end.create("room", meetingEndedURL=silent.origin)
        await callbacks.call(callbacks.given_path(CallbackKind.MEETING_ENDED))
        await silent.next()
        # Looks for more come and go; what is under way would hold one to its end.
        await eventually(lambda: database.checked_out == 0)
