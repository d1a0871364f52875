"""Tenants: each with its own secrets and its own meetings, and nothing of one visible to another."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from lxml import etree

from meetingpool.bbb.client import signed_url
from meetingpool.database.tenants import delete_tenant, insert_tenant, put_rule, update_tenant
from meetingpool.domain.parameters import Operator, Rule
from meetingpool.domain.tenants import Tenant
from tests.integration.gateway.test_pool_view import until
from tests.pool import SECRET, FrontEnd, RunningPool, key_of, read, running_pool, succeeded


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[RunningPool]:
    """A pool with the tenants a and b."""
    async with running_pool(database_url, multitenancy_enabled=True) as pool:
        async with pool.database.transaction() as connection:
            for name in ("a", "b"):
                await insert_tenant(connection, Tenant(id=f"id-of-{name}", name=name, secrets=(f"secret of {name}",)))
        yield pool


class TenantFrontEnd:
    """A front end of one tenant at a gateway."""

    def __init__(self, front_end: FrontEnd, name: str, *, secret: str | None = None, by_path: bool = False) -> None:
        self.gateway = front_end.gateway
        self._http = front_end.http
        self._endpoint = (
            f"http://gateway/t/{name}/bigbluebutton/api" if by_path else f"http://{name}.pool.example/bigbluebutton/api"
        )
        self._secret = secret or f"secret of {name}"

    async def get(self, call: str, *parameters: tuple[str, str], **named: str) -> httpx.Response:
        return await self._http.get(signed_url(self._endpoint, self._secret, call, [*parameters, *named.items()]))

    async def ask(self, call: str, *parameters: tuple[str, str], **named: str) -> "etree._Element":
        return read(await self.get(call, *parameters, **named))

    async def create(self, meeting_id: str, **named: str) -> "etree._Element":
        return await self.ask("create", meetingID=meeting_id, **{"name": "A room", **named})


async def both(pool: RunningPool) -> tuple[TenantFrontEnd, TenantFrontEnd]:
    front_end = await pool.front_end()
    return TenantFrontEnd(front_end, "a"), TenantFrontEnd(front_end, "b")


@pytest.mark.parametrize("by_path", [False, True])
async def test_a_tenant_is_recognised_by_its_host_name_or_its_path(tenants: RunningPool, by_path: bool) -> None:
    front_end = TenantFrontEnd(await tenants.front_end(), "a", by_path=by_path)
    assert succeeded(await front_end.create("room"))
    assert (await front_end.ask("getMeetingInfo", meetingID="room")).findtext("meetingID") == "room"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("a", "secret of b"), ("a", SECRET), ("nobody", "secret of a"), ("gateway", SECRET), ("", "secret of a")],
)
async def test_another_ones_secret_is_refused_like_a_wrong_one(tenants: RunningPool, name: str, secret: str) -> None:
    stranger = TenantFrontEnd(await tenants.front_end(), name, secret=secret)
    answer = await stranger.create("room")
    assert (key_of(answer), answer.findtext("message")) == ("checksumError", "You did not pass the checksum security check")


async def test_the_same_id_of_two_tenants_is_two_meetings(tenants: RunningPool) -> None:
    a, b = await both(tenants)
    of_a, of_b = [await front_end.create("room", moderatorPW=f"mp-{number}") for number, front_end in enumerate((a, b))]
    assert succeeded(of_a)
    assert succeeded(of_b)
    assert of_a.findtext("meetingID") == of_b.findtext("meetingID") == "room"
    assert of_a.findtext("internalMeetingID") != of_b.findtext("internalMeetingID")
    infos = [await front_end.ask("getMeetingInfo", meetingID="room") for front_end in (a, b)]
    assert [info.findtext("moderatorPW") for info in infos] == ["mp-0", "mp-1"]


@pytest.mark.parametrize("call", ["getMeetingInfo", "end", "join", "sendChatMessage"])
async def test_the_meeting_of_another_is_as_unknown_as_none(tenants: RunningPool, call: str) -> None:
    a, b = await both(tenants)
    await a.create("room", moderatorPW="mp")
    asked = {"fullName": "Eve", "role": "MODERATOR", "password": "mp", "message": "hello"}
    of_another = await b.get(call, meetingID="room", **asked)
    of_nobody = await b.get(call, meetingID="none", **asked)
    assert of_another.content == of_nobody.content
    assert key_of(read(of_another)) == "notFound"
    assert succeeded(await a.ask("getMeetingInfo", meetingID="room"))


async def test_lists_hold_the_tenants_own_meetings_only_under_its_own_ids(tenants: RunningPool) -> None:
    a, b = await both(tenants)
    for meeting_id in ("room", "r<o>&m"):
        await a.create(meeting_id)
    await b.create("room")
    listed = [[found.text for found in (await tenant.ask("getMeetings")).iterfind(".//meetingID")] for tenant in (a, b)]
    assert [sorted(filter(None, ids)) for ids in listed] == [["r<o>&m", "room"], ["room"]]
    for server in tenants.fleet.servers:
        for meeting in server.meetings.values():
            server.add_person(meeting, "Somebody")
    assert [len((await tenant.ask("getSessions")).findall("sessions/meeting")) for tenant in (a, b)] == [2, 1]


async def test_ids_on_the_servers_cannot_be_made_to_meet(tenants: RunningPool) -> None:
    a, b = await both(tenants)
    await a.create("room")
    (holder,) = [server for server in tenants.fleet.servers if server.meetings]
    (host_id,) = holder.meetings
    assert succeeded(await b.create(host_id))
    assert key_of(await b.ask("getMeetingInfo", meetingID="room")) == "notFound"
    assert sum(len(server.meetings) for server in tenants.fleet.servers) == 2


async def test_the_server_is_told_whose_meeting_it_is_and_the_front_end_not(tenants: RunningPool) -> None:
    a, _ = await both(tenants)
    await a.create("room", **{"meta_tenant-id": "id-of-b", "meta_Tenant-Name": "b", "meta_origin": "test"})
    (meeting,) = [meeting for server in tenants.fleet.servers for meeting in server.meetings.values()]
    sent = dict(meeting.settings.metadata)
    assert (sent["tenant-id"], sent["tenant-name"]) == ("id-of-a", "a")
    for document in (await a.ask("getMeetingInfo", meetingID="room"), await a.ask("getMeetings")):
        assert [element.tag for element in document.iterfind(".//metadata/*")] == ["origin"]


async def test_a_join_leads_to_the_tenants_own_meeting(tenants: RunningPool) -> None:
    a, b = await both(tenants)
    for tenant in (a, b):
        await tenant.create("room")
    (to_a, to_b) = [await tenant.get("join", meetingID="room", fullName="Ann", role="VIEWER") for tenant in (a, b)]
    joined = [dict(parse_qsl(urlsplit(answer.headers["location"]).query))["meetingID"] for answer in (to_a, to_b)]
    assert joined[0] != joined[1]


async def test_secrets_change_hands_without_a_gap(tenants: RunningPool) -> None:
    old = TenantFrontEnd(await tenants.front_end(), "a")
    new = TenantFrontEnd(await tenants.front_end(), "a", secret="the new one")
    assert key_of(await new.create("room")) == "checksumError"
    await _change(tenants, secrets=["secret of a", "the new one"])
    await until(lambda: len(_known(new).secrets) == 2)
    assert succeeded(await new.create("room"))
    assert succeeded(await old.create("room"))
    await _change(tenants, secrets=["the new one"])
    await until(lambda: len(_known(old).secrets) == 1)
    assert key_of(await old.create("room")) == "checksumError"
    assert succeeded(await new.create("room"))


async def test_a_tenant_that_is_removed_is_a_stranger(tenants: RunningPool) -> None:
    a, _ = await both(tenants)
    await a.create("room")
    async with tenants.database.transaction() as connection:
        await delete_tenant(connection, "id-of-a")
    await until(lambda: a.gateway.tenants.of("id-of-a") is None)
    assert key_of(await a.ask("isMeetingRunning", meetingID="room")) == "checksumError"


async def test_a_tenant_may_have_so_many_meetings_and_no_more_whoever_asks_at_once(tenants: RunningPool) -> None:
    import asyncio

    await _change(tenants, max_meetings=3)
    gateways = [TenantFrontEnd(await tenants.front_end(), "a") for _ in range(3)]
    answers = await asyncio.gather(*(gateways[number % 3].create(f"room-{number}") for number in range(12)))
    assert sorted(key_of(answer) or "" for answer in answers) == [""] * 3 + ["maxConcurrent"] * 9
    placed = sum(len(server.meetings) for server in tenants.fleet.servers)
    assert placed == 3
    (known,) = [number for number, answer in enumerate(answers) if succeeded(answer)][:1]
    assert succeeded(await gateways[0].create(f"room-{known}"))
    assert succeeded(await TenantFrontEnd(await tenants.front_end(), "b").create("room"))


async def test_a_tenant_may_have_so_many_people_and_no_more(tenants: RunningPool) -> None:
    await _change(tenants, max_users=2)
    a, _ = await both(tenants)
    await a.create("room")
    for number in range(2):
        assert (await a.get("join", meetingID="room", fullName=f"Person {number}", role="VIEWER")).status_code == 302
    assert key_of(await a.ask("join", meetingID="room", fullName="One too many", role="VIEWER")) == "maxConcurrent"
    assert key_of(await a.create("another")) == "maxConcurrent"
    assert succeeded(await a.create("room"))
    # They never arrived: the next poll sees an empty meeting, and there is room again.
    await until(lambda: not a.gateway.view._joining)  # noqa: SLF001
    await tenants.poll()
    await until(lambda: not a.gateway.view.people_of(_known(a)))
    assert (await a.get("join", meetingID="room", fullName="At last", role="VIEWER")).status_code == 302


async def test_a_tenants_meetings_go_to_its_servers_only(tenants: RunningPool) -> None:
    gpu, *others = tenants.fleet.servers
    await tenants.change_server(gpu, tags=["gpu", "a"])
    await _change(tenants, server_tags=["a"])
    a, _ = await both(tenants)
    for number, tag in enumerate(("", "gpu", "none", "moon")):
        assert succeeded(await a.create(f"room-{number}", **{"meta_server-tag": tag}))
    assert len(gpu.meetings) == 4
    assert key_of(await a.create("room", **{"meta_server-tag": "none!"})) == "serverTagUnavailable"
    assert not any(server.meetings for server in others)


async def test_a_tenants_rules_come_after_those_of_the_installation(database_url: str) -> None:
    async with running_pool(database_url, multitenancy_enabled=True, default_create_params="record=true,welcome=Hi") as pool:
        async with pool.database.transaction() as connection:
            await insert_tenant(connection, Tenant(id="id-of-a", name="a", secrets=("secret of a",)))
            await put_rule(connection, "id-of-a", "create", Rule(Operator.DEFAULT, "record", "false"))
            await put_rule(connection, "id-of-a", "create", Rule(Operator.CAP, "duration", "90"))
            await put_rule(connection, "id-of-a", "create", Rule(Operator.APPEND, "disabledFeatures", "chat"))
        await TenantFrontEnd(await pool.front_end(), "a").create("room", disabledFeatures="polls")
        (request,) = [request for server in pool.fleet.servers for request in server.requests if request.call == "create"]
        wanted = {"record": "false", "welcome": "Hi", "duration": "90", "disabledFeatures": "polls,chat"}
        assert {name: request.parameters[name] for name in wanted} == wanted


async def test_an_algorithm_may_be_refused_to_one_tenant(tenants: RunningPool) -> None:
    await _change(tenants, checksum_algorithms=["sha512"])
    a, b = await both(tenants)
    assert key_of(await a.create("room")) == "checksumError"
    assert succeeded(await b.create("room"))


async def test_greenlight_finds_a_tenants_endpoint_and_secret(tenants: RunningPool) -> None:
    front_end = await tenants.front_end()
    answer = await front_end.ask("getUser", name="a")
    user = {element.tag: element.text for element in answer.iterfind("user/*")}
    assert user == {"name": "a", "apiURL": "http://gateway/t/a/bigbluebutton/api/", "secret": "secret of a"}
    assert key_of(await front_end.ask("getUser", name="nobody")) == "noSuchUser"
    stranger = TenantFrontEnd(front_end, "a")
    assert key_of(await stranger.ask("getUser", name="b")) == "checksumError"


async def test_there_is_no_get_user_without_tenants(front_end: FrontEnd) -> None:
    assert key_of(await front_end.ask("getUser", name="a")) == "unsupportedRequest"


def _known(front_end: TenantFrontEnd) -> Tenant:
    tenant = front_end.gateway.tenants.of("id-of-a")
    assert tenant
    return tenant


async def _change(pool: RunningPool, **changes: object) -> None:
    """Changes tenant a."""
    async with pool.database.transaction() as connection:
        await update_tenant(connection, "id-of-a", changes)
