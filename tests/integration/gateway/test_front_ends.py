"""Greenlight and Moodle as their pages in docs/ set them up: the calls they make, signed and written as they do it."""

from collections.abc import AsyncIterator
from hashlib import sha1
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import pytest
from lxml import etree

from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.tenants import Tenant
from tests.pool import SECRET, RunningPool, key_of, read, running_pool, succeeded

GREENLIGHT_OWN = {
    "meta_bbb-origin": "greenlight",
    "meta_bbb-origin-version": "3",
    "meta_bbb-recording-ready-url": "https://rooms.example.org/recording_ready",
    "meta_endCallbackUrl": "https://rooms.example.org/meeting_ended",
    "logoutURL": "https://rooms.example.org/rooms/a-b-c",
    "moderatorOnlyMessage": "Share this link: https://rooms.example.org/rooms/a-b-c/join",
    "guestPolicy": "ALWAYS_ACCEPT",
    "record": "false",
}


def signed(endpoint: str, secret: str, call: str, query: str) -> str:
    """A URL with the checksum last, by sha1."""
    checksum = sha1(f"{call}{query}{secret}".encode(), usedforsecurity=False).hexdigest()
    return f"{endpoint}{call}?{query}&checksum={checksum}"


class Greenlight:
    """Parameters sorted by name; the endpoint gets /api/ if it lacks it."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str, secret: str) -> None:
        self._http = http
        self._endpoint = endpoint if endpoint.endswith(("api", "api/")) else f"{endpoint.rstrip('/')}/api/"
        self._secret = secret

    async def get(self, call: str, **parameters: str) -> httpx.Response:
        query = urlencode(sorted(parameters.items()))
        return await self._http.get(signed(self._endpoint.rstrip("/") + "/", self._secret, call, query))

    async def ask(self, call: str, **parameters: str) -> "etree._Element":
        return read(await self.get(call, **parameters))


class Moodle:
    """Parameters in the order of the code; the URL gets /api/ if it lacks it."""

    def __init__(self, http: httpx.AsyncClient, url: str, secret: str) -> None:
        self.http = http
        self._endpoint = url.rstrip("/").removesuffix("/api") + "/api/"
        self._secret = secret

    def url(self, call: str, **parameters: str) -> str:
        query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parameters.items())
        return signed(self._endpoint, self._secret, call, query)

    async def ask(self, call: str, **parameters: str) -> "etree._Element":
        return read(await self.http.get(self.url(call, **parameters), headers={"Content-Language": "en-US"}))


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[RunningPool]:
    """A pool with the tenant school, below pool.example.org."""
    async with running_pool(database_url, multitenancy_enabled=True, url_host="pool.example.org") as pool:
        async with pool.database.transaction() as connection:
            await insert_tenant(connection, Tenant(id="id", name="school", secrets=("new", "old")))
        yield pool


async def http_of(pool: RunningPool) -> httpx.AsyncClient:
    return (await pool.front_end()).http


async def meets(greenlight: Greenlight, pool: RunningPool) -> None:
    """A room's life: it is off, started, joined by its owner, and on."""
    room = {"meetingID": "a-b-c"}
    assert (await greenlight.ask("isMeetingRunning", **room)).findtext("running") == "false"
    assert key_of(await greenlight.ask("getMeetingInfo", **room)) == "notFound"

    created = await greenlight.ask("create", name="Ann's room", **room, **GREENLIGHT_OWN)
    assert succeeded(created)
    known = {**room, "password": "", "role": "Moderator", "userID": "gl-1", "createTime": created.findtext("createTime") or ""}
    joined = await greenlight.get("join", fullName="Ann", avatarURL="https://rooms.example.org/ann.png", **known)
    assert joined.status_code == 302
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(joined.headers["location"])).status_code == 200
    info = await greenlight.ask("getMeetingInfo", **room)
    assert (info.findtext("participantCount"), info.findtext("metadata/bbb-origin")) == ("1", "greenlight")
    assert info.findtext("metadata/endcallbackurl") == "https://rooms.example.org/meeting_ended"
    assert key_of(await greenlight.ask("create", name="Ann's room", **room, **GREENLIGHT_OWN)) == "duplicateWarning"
    assert len([meeting for server in pool.fleet.servers for meeting in server.meetings.values()]) == 1


@pytest.mark.parametrize("endpoint", ["http://pool.example.org/bigbluebutton/api/", "http://pool.example.org/bigbluebutton/"])
async def test_greenlight_meets_with_an_endpoint_and_a_secret(pool: RunningPool, endpoint: str) -> None:
    await meets(Greenlight(await http_of(pool), endpoint, SECRET), pool)


async def test_greenlights_health_check_is_answered(pool: RunningPool) -> None:
    greenlight = Greenlight(await http_of(pool), "http://pool.example.org/bigbluebutton/api/", SECRET)
    assert (await greenlight.ask("isMeetingRunning", meetingID="0")).findtext("running") == "false"


@pytest.mark.parametrize(
    "endpoint", ["http://school.pool.example.org/bigbluebutton/api/", "http://pool.example.org/t/school/bigbluebutton/api/"]
)
async def test_greenlight_meets_as_a_tenant(tenants: RunningPool, endpoint: str) -> None:
    await meets(Greenlight(await http_of(tenants), endpoint, "old"), tenants)


async def test_greenlight_of_many_tenants_meets_with_what_the_pool_tells_it(tenants: RunningPool) -> None:
    http = await http_of(tenants)
    balancer = Greenlight(http, "http://pool.example.org/bigbluebutton", SECRET)
    user = (await balancer.ask("getUser", name="school")).find("user")
    assert user is not None
    api_url, secret = user.findtext("apiURL") or "", user.findtext("secret") or ""
    assert (api_url, secret) == ("https://school.pool.example.org/bigbluebutton/api/", "new")

    await meets(Greenlight(http, api_url, secret), tenants)


async def test_greenlights_tags_choose_the_server(pool: RunningPool) -> None:
    gpu = pool.fleet.servers[0]
    await pool.change_server(gpu, tags=["gpu"])
    greenlight = Greenlight(await http_of(pool), "http://pool.example.org/bigbluebutton/api/", SECRET)

    assert succeeded(await greenlight.ask("create", meetingID="room-a", name="Room A", **{"meta_server-tag": "gpu"}))
    assert succeeded(await greenlight.ask("create", meetingID="room-b", name="Room B", **{"meta_server-tag": "gpu!"}))
    assert sorted(gpu.meetings) == ["room-a", "room-b"]
    assert succeeded(await greenlight.ask("create", meetingID="room-c", name="Room C", **{"meta_server-tag": "moon"}))
    refused = await greenlight.ask("create", meetingID="room-d", name="Room D", **{"meta_server-tag": "moon!"})
    assert key_of(refused) == "serverTagUnavailable"


@pytest.mark.parametrize("url", ["http://pool.example.org/bigbluebutton/", "http://pool.example.org/bigbluebutton/api"])
async def test_moodle_meets_with_a_url_and_a_secret(pool: RunningPool, url: str) -> None:
    await teaches(Moodle(await http_of(pool), url, SECRET))


@pytest.mark.parametrize(
    "url", ["http://school.pool.example.org/bigbluebutton/", "http://pool.example.org/t/school/bigbluebutton/"]
)
async def test_moodle_meets_as_a_tenant(tenants: RunningPool, url: str) -> None:
    http = await http_of(tenants)
    await teaches(Moodle(http, url, "new"))
    assert key_of(await Moodle(http, url, SECRET).ask("getMeetingInfo", meetingID="room")) == "checksumError"


async def teaches(moodle: Moodle) -> None:
    """An activity's life: the version is asked for, slides come with the create, a teacher joins and ends it."""
    assert float((await moodle.ask("")).findtext("version") or "") == 2.0
    assert key_of(await moodle.ask("getMeetingInfo", meetingID="room")) == "notFound"

    own = {"meta_bbb-origin": "Moodle", "meta_bn-recording-status": '{"status":[]}', "meta_bbb-context": "Lessons & more"}
    url = moodle.url("create", meetingID="room", name="Lesson 1", attendeePW="ap", moderatorPW="mp", **own)
    slides = (
        b'<?xml version="1.0"?><modules><module name="presentation"><document url="https://m.example/a.pdf"/></module></modules>'
    )
    created = read(await moodle.http.post(url, content=slides, headers={"Content-Type": "text/xml"}))
    assert succeeded(created)
    assert not created.findtext("messageKey")

    join = moodle.url("join", meetingID="room", fullName="Ann Teacher", password="mp", role="MODERATOR", guest="false")
    joined = await moodle.http.get(join)
    assert (joined.status_code, urlsplit(joined.headers["location"]).path) == (302, "/bigbluebutton/api/join")
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(joined.headers["location"])).status_code == 200
    info = await moodle.ask("getMeetingInfo", meetingID="room")
    assert [info.findtext(name) for name in ("running", "participantCount", "moderatorCount", "hasBeenForciblyEnded")] == [
        *("true", "1", "1", "false"),
    ]
    assert not info.findtext("messageKey")
    assert succeeded(await moodle.ask("end", meetingID="room", password="mp"))
