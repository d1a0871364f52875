"""What the settings ask of the parameters of create and join, as it reaches the server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from tests.pool import ENDPOINT, SECRET, FrontEnd, RunningPool, key_of, read, running_pool, succeeded


def received(pool: RunningPool, call: str = "create") -> Mapping[str, str]:
    """The parameters of the one call that reached a server."""
    (found,) = [request for server in pool.fleet.servers for request in server.requests if request.call == call]
    return found.parameters


async def created(database_url: str, came: dict[str, str], **settings: Any) -> dict[str, str]:
    """What reached the server of a create, without what every create holds."""
    async with running_pool(database_url, servers=1, **settings) as pool:
        assert succeeded(await (await pool.front_end()).create("room", **came))
        always = {"meetingID", "name", "checksum", "meta_meetingpool-generation", "meta_meetingpool-mark", "meetingEndedURL"}
        always |= {"attendeePW", "moderatorPW", "voiceBridge"}
        return {name: value for name, value in received(pool).items() if name not in always}


@pytest.mark.parametrize(
    ("settings", "came", "goes"),
    [
        ({"default_create_params": "record=true"}, {}, {"record": "true"}),
        ({"default_create_params": "record=true"}, {"record": "false"}, {"record": "false"}),
        ({"default_create_params": "welcome=Hi"}, {"welcome": ""}, {"welcome": ""}),
        ({"override_create_params": "record=false"}, {"record": "true"}, {"record": "false"}),
        ({"create_exclude_params": "record"}, {"record": "true", "welcome": "Hi"}, {"welcome": "Hi"}),
        ({"create_exclude_params": "record", "default_create_params": "record=false"}, {"record": "true"}, {"record": "false"}),
        ({"override_join_params": "record=true"}, {}, {}),
        ({"max_meeting_duration": 60}, {}, {"duration": "60"}),
        ({"max_meeting_duration": 60}, {"duration": "0"}, {"duration": "60"}),
        ({"max_meeting_duration": 60}, {"duration": "90"}, {"duration": "60"}),
        ({"max_meeting_duration": 60}, {"duration": "30"}, {"duration": "30"}),
        ({"max_meeting_duration": 60, "create_exclude_params": "duration"}, {"duration": "30"}, {"duration": "60"}),
        ({"max_meeting_duration": 60, "override_create_params": "duration=90"}, {"duration": "30"}, {"duration": "90"}),
        ({"max_meeting_duration": 0}, {"duration": "900"}, {"duration": "900"}),
    ],
)
async def test_rules_decide_what_reaches_the_server(
    database_url: str, settings: dict[str, Any], came: dict[str, str], goes: dict[str, str]
) -> None:
    assert await created(database_url, came, **settings) == goes


async def test_a_meeting_is_found_again_whatever_the_rules_add(database_url: str) -> None:
    rules = "attendeePW=ap,moderatorPW=mp,isBreakout=false"
    async with running_pool(database_url, override_create_params=rules, max_meeting_duration=60) as pool:
        front_end = await pool.front_end()
        first, second = [await front_end.create("room", moderatorPW=password) for password in ("one", "two")]
        assert (first.findtext("moderatorPW"), key_of(second)) == ("mp", "duplicateWarning")
        assert first.findtext("internalMeetingID") == second.findtext("internalMeetingID")
        assert len(pool.holders("room")) == 1


async def test_slides_reach_the_server_beside_the_rules(database_url: str) -> None:
    async with running_pool(database_url, servers=1, default_create_params="record=true") as pool:
        front_end = await pool.front_end()
        url = signed_url(ENDPOINT, SECRET, "create", [("meetingID", "slides"), ("name", "Slides")])
        answer = read(await front_end.http.post(url, content=b"<modules/>", headers={"content-type": "text/xml"}))
        assert succeeded(answer)
        (request,) = [request for request in pool.fleet.servers[0].requests if request.call == "create"]
        assert (request.body, request.parameters["record"]) == (b"<modules/>", "true")


@pytest.mark.parametrize(
    ("settings", "came", "tag"),
    [
        ({}, {"meta_server-tag": "eu"}, "eu"),
        ({"default_create_params": "meta_server-tag=gpu"}, {}, "gpu"),
        ({"default_create_params": "meta_server-tag=gpu"}, {"meta_server-tag": ""}, "gpu"),
        ({"default_create_params": "meta_server-tag=gpu"}, {"meta_server-tag": "eu"}, "eu"),
        ({"override_create_params": "meta_server-tag=gpu"}, {"meta_server-tag": "eu"}, "gpu"),
        ({"override_create_params": "meta_server-tag="}, {"meta_server-tag": "eu"}, "eu"),
    ],
)
async def test_the_tag_that_decides_is_the_overrides_then_the_callers_then_the_default(
    database_url: str, settings: dict[str, Any], came: dict[str, str], tag: str
) -> None:
    async with running_pool(database_url, **settings) as pool:
        front_end = await tagged(pool)
        assert succeeded(await front_end.create("room", **came))
        assert [tags_of(pool)[holder.name] for holder in pool.holders("room")] == [tag]
        assert received(pool)["meta_server-tag"] == tag


async def test_a_tag_that_may_not_be_passed_on_still_decides_where_a_meeting_goes(database_url: str) -> None:
    async with running_pool(database_url, create_exclude_params="meta_server-tag") as pool:
        front_end = await tagged(pool)
        assert succeeded(await front_end.create("room", **{"meta_server-tag": "eu"}))
        assert [tags_of(pool)[holder.name] for holder in pool.holders("room")] == ["eu"]
        assert "meta_server-tag" not in received(pool)


async def test_a_required_tag_of_a_rule_is_named_when_no_server_has_it(database_url: str) -> None:
    async with running_pool(database_url, override_create_params="meta_server-tag=moon!") as pool:
        answer = await (await pool.front_end()).create("room", **{"meta_server-tag": "eu"})
        assert (key_of(answer), answer.findtext("message")) == (
            "serverTagUnavailable",
            "There is no available server with the required tag=moon.",
        )


async def test_rules_of_join_are_in_the_url_that_the_server_accepts(database_url: str) -> None:
    async with running_pool(
        database_url,
        default_join_params="userdata-bbb_skip_check_audio=true,guest=true",
        override_join_params="avatarURL=https://x/?a=b",
        join_exclude_params="userID",
        default_create_params="record=true",
        max_meeting_duration=60,
    ) as pool:
        front_end = await pool.front_end()
        await front_end.create("room")
        response = await front_end.get(
            "join", meetingID="room", fullName="Ann", role="VIEWER", guest="", avatarURL="https://y", userID="7"
        )
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            assert (await browser.get(response.headers["location"])).status_code == 200
        sent = dict(parse_qsl(urlsplit(response.headers["location"]).query, keep_blank_values=True))
        del sent["checksum"]
        assert sent == {
            "meetingID": "room",
            "fullName": "Ann",
            "role": "VIEWER",
            "guest": "",
            "avatarURL": "https://x/?a=b",
            "userdata-bbb_skip_check_audio": "true",
        }


def tags_of(pool: RunningPool) -> dict[str, str]:
    """The tags of the first two servers by their names; the third has none."""
    return {server.name: tag for server, tag in zip(pool.fleet.servers, ("gpu", "eu"), strict=False)}


async def tagged(pool: RunningPool) -> FrontEnd:
    """A front end at a gateway that knows the tags."""
    for server, tag in zip(pool.fleet.servers, tags_of(pool).values(), strict=False):
        await pool.change_server(server, tags=[tag])
    return await pool.front_end()
