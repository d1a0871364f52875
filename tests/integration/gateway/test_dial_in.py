"""Callers reach the meeting whose PIN they enter, by a FreeSWITCH that knows the password, and nobody finds a PIN by trying."""

import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from lxml import etree

from gateway.basic_authentication import WRONG_PASSWORDS_A_MINUTE
from gateway.dial_in import WRONG_PINS_OF_A_CALLER, WRONG_PINS_OF_ALL
from meetingpool.bbb.dialplan import NOT_FOUND, Keypad, prompt, reprompt
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.servers import ServerId
from tests.logs import captured_logs
from tests.pool import SECRET, FrontEnd, RunningPool, key_of, read, running_pool

URL = "http://gateway/fsapi"
PROMPT = prompt("6135551234", Keypad(5, 9), hang_up_after=0)
REPROMPT = reprompt(Keypad(5, 9))
PIN = "594582149"
WRONG_PIN = "111111111"
PASSWORD = httpx.BasicAuth("fsapi", SECRET)
FORM = "application/x-www-form-urlencoded"


@dataclass
class SettableClock:
    ahead: float = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def epoch(self) -> float:
        return time.time() + self.ahead


@dataclass(frozen=True)
class Caller:
    """A telephone, and the FreeSWITCH that its calls come to."""

    front_end: FrontEnd
    number: str = "4930123456"
    name: str = "Ada"
    auth: httpx.Auth | None = PASSWORD
    more: dict[str, str] = field(default_factory=dict)

    async def post(self, **fields: str) -> httpx.Response:
        channel = {
            "section": "dialplan",
            "Caller-Destination-Number": "6135551234",
            "Caller-Caller-ID-Number": self.number,
            "Caller-Caller-ID-Name": self.name,
            **self.more,
            **fields,
        }
        return await self.front_end.http.post(URL, data=channel, auth=self.auth or httpx.Auth())

    async def hears(self, **fields: str) -> bytes:
        response = await self.post(**fields)
        read(response)
        return response.content

    async def enters(self, pin: str) -> bytes:
        return await self.hears(variable_pin=pin)

    async def enters_wrong_pins(self, times: int) -> list[bytes]:
        return [await self.enters(WRONG_PIN) for _ in range(times)]


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def pool(database_url: str, clock: SettableClock) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, clock=clock) as pool:
        yield pool


@pytest.fixture
async def front_end(pool: RunningPool) -> FrontEnd:
    """A front end at a gateway that knows a meeting with a PIN."""
    front_end = await pool.front_end()
    put_meeting(front_end, pool)
    return front_end


@pytest.fixture
def caller(front_end: FrontEnd) -> Caller:
    return Caller(front_end)


def put_meeting(front_end: FrontEnd, pool: RunningPool, bridge: str = PIN, key: MeetingKey | None = None) -> ServerId:
    server_id = ServerId(pool.fleet.servers[0].name)
    meeting = Meeting(
        key=key or MeetingKey("default", "room"),
        server_id=server_id,
        generation=1_000_000,
        state=MeetingState.LIVE,
        voice_bridge=bridge,
    )
    front_end.gateway.view.pool.put_meeting(meeting, "room")
    return server_id


def data_of(document: bytes, application: str) -> list[str]:
    actions = etree.fromstring(document).iter("action")
    return [action.get("data") or "" for action in actions if action.get("application") == application]


def dialled(document: bytes) -> list[str]:
    return data_of(document, "bridge")


def on_host(pin: str, url: str) -> list[str]:
    return [f"sofia/external/{pin}@{urlsplit(url).hostname}"]


async def test_caller_is_asked_for_a_pin(caller: Caller) -> None:
    assert await caller.hears() == PROMPT
    assert await caller.hears(variable_pin=" ") == PROMPT


async def test_caller_with_the_pin_of_a_meeting_is_taken_to_its_server(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class")
    bridge = created.findtext("voiceBridge") or ""
    (holder,) = pool.holders("class")

    document = await Caller(front_end).enters(bridge)

    assert len(bridge) == 9
    assert dialled(document) == on_host(bridge, holder.url)
    assert data_of(document, "set") == ["meeting_id=class", "effective_caller_id_name=Ada"]


async def test_pin_is_known_to_every_process_at_once(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class")

    assert dialled(await Caller(await pool.front_end()).enters(created.findtext("voiceBridge") or ""))


async def test_caller_with_a_digit_more_is_taken_to_the_breakout_room(pool: RunningPool, caller: Caller) -> None:
    assert dialled(await caller.enters(PIN + "3")) == on_host(PIN + "3", pool.fleet.servers[0].url)


@pytest.mark.parametrize("pin", [WRONG_PIN, PIN[:-1], PIN + "33", "5", "0", "9" * 100, "\uff15" * 9, "room", PIN + "*", "${pin}"])
async def test_caller_with_any_other_pin_is_asked_again(caller: Caller, pin: str) -> None:
    assert await caller.enters(pin) == REPROMPT
    assert dialled(await caller.enters(PIN))


@pytest.mark.parametrize(
    "fields",
    [
        {"section": "directory"},
        {"section": ""},
        {"section": "configuration", "variable_pin": PIN},
        {"Caller-Destination-Number": ""},
        {"Caller-Destination-Number": " ", "variable_pin": PIN},
        {"Caller-Destination-Number": "${system(id)}"},
        {"Caller-Destination-Number": "conference"},
    ],
)
async def test_what_is_no_call_to_a_number_is_not_found(caller: Caller, fields: dict[str, str]) -> None:
    assert await caller.hears(**fields) == NOT_FOUND


async def test_meeting_that_is_over_has_no_pin(front_end: FrontEnd, caller: Caller) -> None:
    front_end.gateway.view.pool.forget_meeting(MeetingKey("default", "room"), 1_000_000, "room")

    assert await caller.enters(PIN) == REPROMPT


@pytest.mark.parametrize(
    ("change", "is_served"),
    [
        ({"health": "offline"}, True),
        ({"admin_state": "cordoned"}, True),
        ({"health": "dead"}, False),
        ({"admin_state": "disabled"}, False),
    ],
)
async def test_caller_is_taken_where_people_are_sent_and_nowhere_else(
    pool: RunningPool, change: dict[str, str], is_served: bool
) -> None:
    await pool.change_server(pool.fleet.servers[0], **change)
    front_end = await pool.front_end()
    put_meeting(front_end, pool)

    document = await Caller(front_end).enters(PIN)

    assert dialled(document) if is_served else document == NOT_FOUND


async def test_caller_for_a_server_that_is_gone_is_not_found(front_end: FrontEnd, caller: Caller) -> None:
    front_end.gateway.view.pool.replace_servers([])

    assert await caller.enters(PIN) == NOT_FOUND


async def test_one_number_serves_all_tenants(pool: RunningPool, front_end: FrontEnd, caller: Caller) -> None:
    put_meeting(front_end, pool, "123456789", MeetingKey("tenant-a", "room"))

    assert data_of(await caller.enters("123456789"), "set")[0] == "meeting_id=room"
    assert dialled(await caller.enters("123456789"))
    assert dialled(await caller.enters(PIN))


@pytest.mark.parametrize(
    ("name", "more", "shown"),
    [
        ("4930123456", {}, "493012XXXX"),
        ("4930123456", {"Caller-Privacy-Hide-Number": "true"}, "Unavailable"),
        ("Ada", {"Caller-Privacy-Hide-Number": "true", "Caller-Privacy-Hide-Name": "false"}, "Ada"),
        ("Ada", {"Caller-Privacy-Hide-Name": "true"}, "Unavailable"),
        ("", {}, "Unavailable"),
        ("${system(id)}", {}, "systemid"),
    ],
)
async def test_others_see_of_a_caller_what_they_may(caller: Caller, name: str, more: dict[str, str], shown: str) -> None:
    document = await replace(caller, name=name, more=more).enters(PIN)

    assert data_of(document, "set")[1] == f"effective_caller_id_name={shown}"


async def test_prompt_follows_the_settings(pool: RunningPool) -> None:
    pool.settings = msgspec.structs.replace(pool.settings, voice_bridge_min=6, voice_bridge_max=12, fsapi_max_duration=90)
    document = await Caller(await pool.front_end()).hears()

    assert document == prompt("6135551234", Keypad(6, 12), hang_up_after=5400)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_a_post_is_answered(front_end: FrontEnd, method: str) -> None:
    response = await front_end.http.request(method, URL, auth=PASSWORD)

    assert response.status_code == 200
    if method != "HEAD":
        assert key_of(read(response)) == "unsupportedRequest"


@pytest.mark.parametrize(
    "auth",
    [
        None,
        httpx.BasicAuth("fsapi", SECRET + "x"),
        httpx.BasicAuth("fsapi", ""),
        httpx.BasicAuth("", SECRET),
        httpx.BasicAuth("FSAPI", SECRET),
    ],
)
async def test_without_the_password_nothing_is_told(caller: Caller, auth: httpx.Auth | None) -> None:
    response = await replace(caller, auth=auth).post(variable_pin=PIN)

    assert (response.status_code, response.text) == (401, "HTTP Basic: Access denied.\n")
    assert response.headers["www-authenticate"].startswith('Basic realm="')


@pytest.mark.parametrize(
    "authorization", ["Basic", "Basic ", "Basic \xff", "Basic ====", "Bearer x", "", ":", "Basic " + "A" * 5000]
)
async def test_what_is_no_password_is_refused(front_end: FrontEnd, authorization: str) -> None:
    response = await front_end.http.post(URL, data={}, headers=[(b"authorization", authorization.encode("latin-1"))])

    assert response.status_code == 401


@pytest.mark.parametrize("authorization", ["Basic", "Basic ", "Basic Og==", "Basic ZnNhcGk6", "Basic ZnNhcGk6Tm9uZQ=="])
async def test_without_a_password_to_compare_with_nobody_gets_in(pool: RunningPool, authorization: str) -> None:
    pool.settings = msgspec.structs.replace(pool.settings, loadbalancer_secret=None)
    front_end = await pool.front_end()

    response = await front_end.http.post(URL, data={}, headers={"authorization": authorization})

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("changes", "password", "status"),
    [
        ({"fsapi_password": "own"}, "own", 200),
        ({"fsapi_password": "own"}, SECRET, 401),
        ({"fsapi_password": "ü:€"}, "ü:€", 200),
        ({"loadbalancer_secret": None, "loadbalancer_secrets": "first:second"}, "first", 200),
        ({"loadbalancer_secret": None, "loadbalancer_secrets": "first:second"}, "second", 401),
        ({"loadbalancer_secret": None}, "", 401),
        ({"loadbalancer_secret": None}, "None", 401),
        ({"multitenancy_enabled": True}, SECRET, 401),
        ({"multitenancy_enabled": True, "fsapi_password": "own"}, "own", 200),
        ({"fsapi_password": ""}, "anything", 200),
    ],
)
async def test_password_is_the_one_that_is_set(pool: RunningPool, changes: dict[str, object], password: str, status: int) -> None:
    pool.settings = msgspec.structs.replace(pool.settings, **changes)
    caller = Caller(await pool.front_end(), auth=httpx.BasicAuth("fsapi", password))

    assert (await caller.post()).status_code == status


async def test_emptied_password_is_not_asked_for_and_said_at_the_start(pool: RunningPool) -> None:
    pool.settings = msgspec.structs.replace(pool.settings, fsapi_password="")
    with captured_logs() as logs:
        front_end = await pool.front_end()

    assert await Caller(front_end, auth=None).hears() == PROMPT
    assert [line["event"] for line in logs if line["level"] == "warning"] == ["dial_in_needs_no_password"]


async def test_address_that_tries_passwords_is_not_heard_for_a_while(caller: Caller, clock: SettableClock) -> None:
    guessing = replace(caller, auth=httpx.BasicAuth("fsapi", "guess"))

    statuses = [(await guessing.post()).status_code for _ in range(WRONG_PASSWORDS_A_MINUTE + 1)]
    assert statuses == [401] * WRONG_PASSWORDS_A_MINUTE + [429]
    refused = await caller.post()
    assert (refused.status_code, refused.text) == (429, "HTTP Basic: Access denied.\n")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    clock.ahead += 60
    assert await caller.hears() == PROMPT


async def test_request_without_any_password_is_no_try(caller: Caller) -> None:
    for _ in range(3 * WRONG_PASSWORDS_A_MINUTE):
        await replace(caller, auth=None).post()

    assert await caller.hears() == PROMPT


async def test_caller_who_tries_pins_hears_what_is_heard_at_a_number_that_nobody_has(
    caller: Caller, clock: SettableClock
) -> None:
    heard = await caller.enters_wrong_pins(WRONG_PINS_OF_A_CALLER)

    assert heard == [REPROMPT] * (WRONG_PINS_OF_A_CALLER - 1) + [NOT_FOUND]
    assert [await caller.enters(PIN), await caller.hears()] == [NOT_FOUND, NOT_FOUND]
    assert dialled(await replace(caller, number="4930999999").enters(PIN))
    clock.ahead += 3600
    assert dialled(await caller.enters(PIN))


@pytest.mark.parametrize("number", ["", "anonymous", "0"])
async def test_callers_without_a_number_are_told_apart_by_the_address_of_the_call(caller: Caller, number: str) -> None:
    withheld = replace(caller, number=number, more={"Caller-Network-Addr": "192.0.2.1"})

    await withheld.enters_wrong_pins(WRONG_PINS_OF_A_CALLER)

    assert await withheld.enters(PIN) == NOT_FOUND
    assert dialled(await replace(withheld, more={"Caller-Network-Addr": "192.0.2.2"}).enters(PIN))
    assert dialled(await replace(withheld, more={}).enters(PIN))


async def test_changing_the_number_does_not_help(caller: Caller, clock: SettableClock) -> None:
    callers = [replace(caller, number=f"49301234{number:03}") for number in range(WRONG_PINS_OF_ALL + 1)]

    heard = [await each.enters(WRONG_PIN) for each in callers]

    assert heard == [REPROMPT] * (WRONG_PINS_OF_ALL - 1) + [NOT_FOUND] * 2
    assert await replace(caller, number="4930999999").enters(PIN) == NOT_FOUND
    clock.ahead += 10
    assert dialled(await replace(caller, number="4930999999").enters(PIN))


async def test_right_pins_cost_nothing(caller: Caller) -> None:
    for _ in range(2 * WRONG_PINS_OF_ALL):
        assert dialled(await caller.enters(PIN))


async def test_neither_pins_nor_callers_nor_passwords_are_logged(caller: Caller) -> None:
    secrets = [PIN, WRONG_PIN, caller.number, "canary-name", "canary-password", SECRET]
    with captured_logs() as logs:
        await replace(caller, name="canary-name").enters(PIN)
        await caller.enters_wrong_pins(WRONG_PINS_OF_A_CALLER)
        await replace(caller, auth=httpx.BasicAuth("fsapi", "canary-password")).post()

    events = [line["event"] for line in logs]
    assert events == ["caller_bridged", "too_many_wrong_pins", "password_refused"]
    assert [secret for secret in secrets if secret in str(logs)] == []


async def posted(front_end: FrontEnd, body: bytes | Iterable[bytes], **headers: str) -> bytes:
    response = await front_end.http.post(URL, content=body, headers={"content-type": FORM, **headers}, auth=PASSWORD)
    assert response.status_code == 200
    return response.content


START = b"section=dialplan&Caller-Destination-Number=6135551234"


async def test_of_a_repeated_field_the_first_is_meant(front_end: FrontEnd) -> None:
    body = START + f"&variable_pin={PIN}&variable_pin={WRONG_PIN}&section=directory".encode()

    assert dialled(await posted(front_end, body))


@pytest.mark.parametrize("size", [60_000, 70_000, 2_000_000])
async def test_body_that_is_too_long_is_not_found(front_end: FrontEnd, size: int) -> None:
    body = START + b"&variable_x=" + b"x" * size

    assert await posted(front_end, body) == (PROMPT if size < 64 * 1024 else NOT_FOUND)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"&&&",
        b"section",
        b"section=dialplan",
        b"{}",
        START + b"&a=1" * 5000,
        b"section=dialplan&Caller-Destination-Number=%00%ff",
        b"section=dialplan&Caller-Destination-Number=6135551234%0d%0a1",
    ],
)
async def test_what_is_no_form_of_a_call_is_not_found(front_end: FrontEnd, body: bytes) -> None:
    assert await posted(front_end, body) == NOT_FOUND


async def test_compressed_form_is_not_found(front_end: FrontEnd) -> None:
    assert await posted(front_end, START, **{"content-encoding": "gzip"}) == NOT_FOUND


async def test_names_in_any_encoding_are_read(front_end: FrontEnd) -> None:
    body = START + f"&variable_pin={PIN}&Caller-Caller-ID-Name=".encode() + b"Zo%EB%20%C3%AB"

    assert data_of(await posted(front_end, body), "set")[1] == "effective_caller_id_name=Zo\ufffd ë"
