"""The hooks calls: a front end's webhooks, its own and nobody else's."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from lxml import etree

from meetingpool.bbb.checksum import Algorithm
from meetingpool.bbb.client import signed_url
from meetingpool.database.hooks import MAX_PER_TENANT
from meetingpool.database.tenants import delete_tenant, insert_tenant
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.tenants import Tenant
from tests.callbacks import CallbackPool, callback_pool
from tests.hooks import an_event, bring, hook_at, register, tenants_pool
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.integration.simulator.receiving import eventually
from tests.pool import SECRET, FrontEnd, key_of, read, succeeded

URL = "https://lms.example.org/events?token=t"


@pytest.fixture
async def callbacks(database_url: str) -> AsyncIterator[CallbackPool]:
    async with callback_pool(database_url) as callbacks:
        yield callbacks


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[CallbackPool]:
    """With the tenants a and b."""
    async with tenants_pool(database_url) as callbacks:
        yield callbacks


def children(answer: "etree._Element") -> list[tuple[str, str | None]]:
    return [(str(child.tag), child.text) for child in answer]


async def test_a_hook_is_created_listed_and_destroyed(front_end: FrontEnd) -> None:
    created = await front_end.ask("hooks/create", callbackURL=URL)
    hook_id = created.findtext("hookID") or ""
    assert str(uuid.UUID(hook_id)) == hook_id
    assert children(created)[0] == ("returncode", "SUCCESS")
    assert children(created)[2:] == [("permanentHook", "false"), ("rawData", "false")]

    (listed,) = (await front_end.ask("hooks/list")).iterfind("hooks/hook")
    assert children(listed) == [
        ("hookID", hook_id),
        ("callbackURL", URL),
        ("permanentHook", "false"),
        ("rawData", "false"),
    ]

    destroyed = await front_end.ask("hooks/destroy", hookID=hook_id)
    assert children(destroyed) == [("returncode", "SUCCESS"), ("removed", "true")]
    again = await front_end.ask("hooks/destroy", hookID=hook_id)
    assert (key_of(again), again.findtext("message")) == ("destroyMissingHook", "The hook informed was not found.")
    assert children(await front_end.ask("hooks/list")) == [("returncode", "SUCCESS"), ("hooks", None)]


async def test_what_a_hook_is_for_is_listed(front_end: FrontEnd) -> None:
    await hook_at(
        front_end, URL, meetingID="r<o>&m", eventID="User-Joined, user-left,,USER-LEFT", getRaw="TRUE", permanent="true"
    )
    (listed,) = (await front_end.ask("hooks/list")).iterfind("hooks/hook")
    assert children(listed)[2:] == [
        ("meetingID", "r<o>&m"),
        ("eventID", "user-joined,user-left"),
        ("permanentHook", "false"),
        ("rawData", "true"),
    ]


async def test_a_list_for_a_meeting_holds_the_hooks_that_hear_of_it(front_end: FrontEnd) -> None:
    await hook_at(front_end, f"{URL}1")
    await hook_at(front_end, f"{URL}2", meetingID="one")
    for meeting_id, urls in {"one": [f"{URL}1", f"{URL}2"], "two": [f"{URL}1"], "": [f"{URL}1", f"{URL}2"]}.items():
        listed = await front_end.ask("hooks/list", meetingID=meeting_id)
        assert [found.text for found in listed.iterfind("hooks/hook/callbackURL")] == urls


async def test_a_url_that_has_a_hook_keeps_it_even_if_many_ask_at_once(front_end: FrontEnd) -> None:
    asked = [front_end.ask("hooks/create", callbackURL=URL, eventID=f"event-{number}") for number in range(8)]
    answers = await asyncio.gather(*asked)
    assert len({answer.findtext("hookID") for answer in answers}) == 1
    repeats = [answer for answer in answers if key_of(answer)]
    assert len(repeats) == 7
    assert [child.tag for child in repeats[0]] == ["returncode", "hookID", "messageKey", "message"]
    assert {children(answer)[0] for answer in answers} == {("returncode", "SUCCESS")}
    assert {(key_of(repeat), repeat.findtext("message")) for repeat in repeats} == {
        ("duplicateWarning", "There is already a hook for this callback URL.")
    }
    assert len((await front_end.ask("hooks/list")).findall("hooks/hook")) == 1


@pytest.mark.parametrize(
    ("call", "key", "message"),
    [
        ("hooks/create", "missingParamCallbackURL", "You must specify a callbackURL in the parameters."),
        ("hooks/destroy", "missingParamHookID", "You must specify a hookID in the parameters."),
    ],
)
async def test_what_a_call_is_about_must_be_named(front_end: FrontEnd, call: str, key: str, message: str) -> None:
    answer = await front_end.ask(call, callbackURL="", hookID="")
    assert (key_of(answer), answer.findtext("message")) == (key, message)


async def test_a_client_that_signs_hooks_calls_as_the_php_library_does_is_understood(front_end: FrontEnd) -> None:
    query = "callbackURL=https%3A%2F%2Flms.example.org%2Fa+b&meetingID=room&eventID=meeting-ended&getRaw=false"
    for signed, call in ((query, "create"), ("", "list")):
        checksum = hashlib.sha1(f"hooks/{call}{signed}{SECRET}".encode(), usedforsecurity=False).hexdigest()
        url = f"http://gateway/bigbluebutton/api/hooks/{call}?{signed}&checksum={checksum}"
        headers = {"content-type": "application/xml", "accept-encoding": "UTF-8"}
        answer = read(await front_end.http.get(url, headers=headers))
        assert succeeded(answer)
    assert answer.findtext("hooks/hook/callbackURL") == "https://lms.example.org/a b"


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_hooks_calls_take_every_algorithm(front_end: FrontEnd, algorithm: Algorithm) -> None:
    front_end.algorithm = algorithm
    await hook_at(front_end, URL)


async def test_a_wrong_checksum_is_refused_in_the_words_of_bbb_webhooks(front_end: FrontEnd) -> None:
    query = urlencode({"callbackURL": URL})
    for call in ("create", "create/hooks", "hooks/list"):
        checksum = hashlib.sha1(f"{call}{query}{SECRET}".encode(), usedforsecurity=False).hexdigest()
        answer = read(await front_end.http.get(f"http://gateway/bigbluebutton/api/hooks/create?{query}&checksum={checksum}"))
        assert key_of(answer) == "checksumError"
        assert answer.findtext("message") == "You did not pass the checksum security check."
    missing = read(await front_end.http.get(f"http://gateway/bigbluebutton/api/hooks/create?{query}"))
    assert missing.findtext("message") == "You did not pass the checksum security check."
    assert (await front_end.ask("hooks/list")).find("hooks/hook") is None


async def test_hooks_calls_are_read_with_get_only(front_end: FrontEnd) -> None:
    for method in ("POST", "HEAD", "DELETE"):
        checksum = hashlib.sha1(f"hooks/list{SECRET}".encode(), usedforsecurity=False).hexdigest()
        url = f"http://gateway/bigbluebutton/api/hooks/list?checksum={checksum}"
        answer = await front_end.http.request(method, url)
        assert b"unsupportedRequest" in answer.content or method == "HEAD"


@pytest.mark.parametrize("prefix", ["", "/t/a"])
async def test_ping_needs_no_checksum(front_end: FrontEnd, prefix: str) -> None:
    answer = await front_end.http.get(f"http://gateway{prefix}/bigbluebutton/api/hooks/ping")
    assert (answer.status_code, answer.text) == (200, "bbb-webhooks API up!")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://lms.example.org/",
        "javascript:alert(1)",
        "not a url",
        "http://user:password@lms.example.org/",
        "http://10.0.0.1/",
        "http://127.0.0.1/",
        "http://[::ffff:7f00:1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://169.254.169.254/latest/",
        "http://lms.example.org:22/",
        f"http://lms.example.org/{'x' * 2048}",
    ],
)
async def test_an_address_that_would_never_be_called_is_refused(front_end: FrontEnd, url: str) -> None:
    answer = await front_end.ask("hooks/create", callbackURL=f"{url}?secret=canary")
    assert key_of(answer) == "createHookError"
    assert (answer.findtext("message") or "").startswith("The callbackURL ")
    assert "canary" not in (answer.findtext("message") or "")
    assert (await front_end.ask("hooks/list")).find("hooks/hook") is None


@pytest.mark.parametrize(
    "parameters", [{"meetingID": "m" * 257}, {"eventID": "e" * 257}, {"eventID": ",".join(map(str, range(101)))}]
)
async def test_ids_beyond_any_measure_are_refused(front_end: FrontEnd, parameters: dict[str, str]) -> None:
    assert key_of(await front_end.ask("hooks/create", callbackURL=URL, **parameters)) == "createHookError"


async def test_a_tenant_has_a_hundred_hooks_at_most(callbacks: CallbackPool) -> None:
    await callbacks.execute(
        "INSERT INTO hooks (id, tenant, callback_url) SELECT tenant || n, tenant, 'https://lms.example.org/' || n"
        " FROM generate_series(1, $1::int) AS n, unnest(ARRAY['default', 'other']) AS tenant",
        MAX_PER_TENANT - 1,
    )
    front_end = callbacks.front_end
    answers = await asyncio.gather(*(front_end.ask("hooks/create", callbackURL=f"{URL}{number}") for number in range(4)))
    assert sorted(key_of(answer) or "" for answer in answers) == ["", *["createHookError"] * 3]
    known = await front_end.ask("hooks/create", callbackURL="https://lms.example.org/2")
    assert key_of(known) == "duplicateWarning"


async def test_a_tenant_sees_its_own_hooks_only(tenants: CallbackPool) -> None:
    a, b = [TenantFrontEnd(tenants.front_end, name) for name in ("a", "b")]
    of_a = await hook_at(a, URL)
    of_b = await hook_at(b, URL, eventID="user-left")
    assert of_a != of_b
    assert [found.text for found in (await a.ask("hooks/list")).iterfind("hooks/hook/hookID")] == [of_a]
    stolen, unknown = await b.get("hooks/destroy", hookID=of_a), await b.get("hooks/destroy", hookID="nobody's")
    assert stolen.content == unknown.content
    assert key_of(read(stolen)) == "destroyMissingHook"
    assert [found.text for found in (await b.ask("hooks/list")).iterfind("hooks/hook/eventID")] == ["user-left"]


async def test_a_tenant_registers_where_the_administrator_lets_it_be_called(tenants: CallbackPool) -> None:
    async with tenants.pool.database.transaction() as connection:
        narrow = Tenant(id="narrow", name="narrow", secrets=("secret of narrow",), callback_hosts=("*.example.org",))
        await insert_tenant(connection, narrow)
    await eventually(lambda: tenants.front_end.gateway.tenants.named("narrow"))
    front_end = TenantFrontEnd(tenants.front_end, "narrow")
    assert key_of(await front_end.ask("hooks/create", callbackURL="https://other.example.com/")) == "createHookError"
    await hook_at(front_end, "https://lms.example.org/")


async def test_no_front_end_can_say_where_servers_bring_the_events_of_all(database_url: str) -> None:
    async with tenants_pool(database_url, public_url=None) as callbacks:
        front_end = TenantFrontEnd(callbacks.front_end, "a", by_path=True)
        signed = signed_url("http://gateway/t/a/bigbluebutton/api", "secret of a", "hooks/create", [("callbackURL", URL)])
        for headers in ({"host": "evil.example"}, {"x-forwarded-host": "evil.example", "host": "a.evil.example"}):
            await callbacks.front_end.http.get(signed, headers=headers)
        assert len((await front_end.ask("hooks/list")).findall("hooks/hook")) == 1
        await register(callbacks)
        (server,) = callbacks.servers
        (hook,) = server.hooks.values()
        assert "evil" not in hook.callback_url


async def test_the_hooks_of_a_tenant_that_is_removed_are_gone(tenants: CallbackPool) -> None:
    await hook_at(TenantFrontEnd(tenants.front_end, "a"), URL)
    (server,) = tenants.servers
    await TenantFrontEnd(tenants.front_end, "a").create("room")
    await bring(tenants, server, an_event(host_id_of(MeetingKey("id-of-a", "room"))))
    assert [kept.state for kept in await tenants.kept()] == ["pending"]
    async with tenants.pool.database.transaction() as connection:
        await delete_tenant(connection, "id-of-a")
        await insert_tenant(connection, Tenant(id="id-of-a", name="anew", secrets=("secret of anew",)))
    await eventually(lambda: tenants.front_end.gateway.tenants.named("anew"))
    anew = TenantFrontEnd(tenants.front_end, "anew")
    assert (await anew.ask("hooks/list")).find("hooks/hook") is None
    assert await tenants.kept() == []
