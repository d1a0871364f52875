"""getRecordings: a front end finds its recordings, all of them, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from lxml import etree

from gateway.playback_links import playing
from meetingpool.bbb.checksum import sign
from meetingpool.domain.recordings import RecordId, RecordingState
from tests.integration.gateway.test_tenants import TenantFrontEnd, both
from tests.pool import ENDPOINT, SECRET, FrontEnd, RunningPool, key_of, read, running_pool, succeeded
from tests.recordings import planted_recording, storage_of
from tests.tenants import add_tenants

BEGIN = 1_700_000_000_000
DIGEST = "0123456789abcdef0123456789abcdef01234567"


def record_id(number: int, digest: str = DIGEST) -> RecordId:
    """The higher the number, the newer the recording."""
    return RecordId(f"{digest}-{BEGIN + number}")


async def plant(pool: RunningPool, number: int, **options: Any) -> RecordId:
    options.setdefault("record_id", record_id(number))
    return await planted_recording(pool.database, storage_of(pool.settings), {"presentation": {}}, **options)


def ids(answer: "etree._Element") -> list[str]:
    assert succeeded(answer)
    return [element.text or "" for element in answer.iterfind("recordings/recording/recordID")]


def numbers(answer: "etree._Element") -> list[int]:
    return [int(each.split("-")[1]) - BEGIN for each in ids(answer)]


@pytest.fixture
async def library(pool: RunningPool) -> RunningPool:
    """Nine recordings: 1 to 3 of one room, 4 and 5 of another, and some that are not seen by all who look."""
    metadata: dict[int, Mapping[str, str]] = {
        1: {"gl-listed": "true", "origin": "100%_sure\\"},
        2: {"gl-listed": "true", "origin": "Moodle 4"},
        3: {"gl-listed": "false", "origin": "moodle"},
        4: {"gl-listed": "true"},
    }
    for number in range(1, 6):
        room = "room" if number <= 3 else "a room; with 100% + more"
        await plant(pool, number, meeting_id=room, metadata=metadata.get(number, {}))
    await plant(pool, 6, meeting_id="room", state=RecordingState.UNPUBLISHED)
    await plant(pool, 7, meeting_id="room", state=RecordingState.DELETED)
    await plant(pool, 8, meeting_id="room", state=RecordingState.PROCESSING)
    await plant(pool, 9, record_id=record_id(9, "f" * 40), meeting_id="other")
    return pool


@pytest.fixture
async def listing(library: RunningPool) -> FrontEnd:
    return await library.front_end()


@pytest.fixture
async def tenants(database_url: str) -> AsyncIterator[RunningPool]:
    """A pool with the tenants a and b."""
    async with running_pool(database_url, multitenancy_enabled=True) as pool:
        await add_tenants(pool.database, "a", "b")
        yield pool


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [9, 6, 5, 4, 3, 2, 1]),
        ({"meetingID": "", "recordID": " , ", "state": ","}, [9, 6, 5, 4, 3, 2, 1]),
        ({"meetingID": "room"}, [6, 3, 2, 1]),
        ({"meetingID": "room , other,room,nowhere"}, [9, 6, 3, 2, 1]),
        ({"meetingID": "a room; with 100% + more"}, [5, 4]),
        ({"meetingID": "roo"}, []),
        ({"meetingID": "ROOM"}, []),
        ({"recordID": record_id(2)}, [2]),
        ({"recordID": f"{record_id(4)},{record_id(1)}"}, [4, 1]),
        ({"recordID": DIGEST}, [6, 5, 4, 3, 2, 1]),
        ({"recordID": f"{DIGEST},{DIGEST[:9]},{record_id(2)},f"}, [9, 6, 5, 4, 3, 2, 1]),
        ({"recordID": DIGEST[1:]}, []),
        ({"recordID": record_id(2) + "0"}, []),
        ({"recordID": "%"}, []),
        ({"recordID": DIGEST[:-1] + "_"}, []),
        ({"recordID": DIGEST + "\\"}, []),
        ({"recordID": DIGEST.upper()}, []),
        ({"recordID": record_id(4), "meetingID": "room"}, [4]),
        ({"recordID": record_id(7), "meetingID": "room"}, []),
        ({"state": "published"}, [9, 5, 4, 3, 2, 1]),
        ({"state": "unpublished,deleted"}, [7, 6]),
        ({"state": "processing"}, [8]),
        ({"state": "processed"}, []),
        ({"state": "nonsense"}, []),
        ({"state": "deleted,any"}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"state": "any", "meetingID": "room"}, [8, 7, 6, 3, 2, 1]),
        ({"meta_gl-listed": "true"}, [4, 2, 1]),
        ({"meta_GL-Listed": "true"}, [4, 2, 1]),
        ({"meta_gl-listed": "TRUE"}, []),
        ({"meta_gl-listed": ""}, [9, 6, 5, 4, 3, 2, 1]),
        ({"meta_gl-listed": "true", "meta_origin": "Moodle 4"}, [2]),
        ({"meta_gl-listed": "true", "meta_origin": "moodle"}, []),
        ({"meta_gl-listed": "true", "meetingID": "room"}, [2, 1]),
        ({"meta_origin": "%ood%"}, [3, 2]),
        ({"meta_origin": "Moo%"}, [2]),
        ({"meta_origin": "%dle"}, [3]),
        ({"meta_origin": "%"}, [3, 2, 1]),
        ({"meta_origin": "100%_sure\\"}, [1]),
        ({"meta_origin": "100%%"}, [1]),
        ({"meta_origin": "%_sure%"}, [1]),
        ({"meta_origin": "%_dle%"}, []),
        ({"meta_origin": "%e\\"}, [1]),
        ({"meta_origin": "%oo%dle%"}, []),
        ({"meta_origin": "Mood%4"}, []),
        ({"meta_origin": "%ood%", "meta_gl-listed": "t%"}, [2]),
        ({"meta_unheard-of": "%"}, []),
        ({"meta_": "x"}, []),
        ({"meta_tenant-id": "default"}, []),
    ],
)
async def test_recordings_are_found_by_what_is_asked(listing: FrontEnd, asked: dict[str, str], found: list[int]) -> None:
    answer = await listing.ask("getRecordings", **asked)
    assert numbers(answer) == found
    assert key_of(answer) == (None if found else "noRecordings")


async def test_what_was_said_of_a_recording_is_shown_at_the_address_that_was_asked(pool: RunningPool) -> None:
    await plant(pool, 1, meeting_id="r<o>&m", name="Größe & <b>", metadata={"gl-name": "<&>"}, duration_ms=150_000)
    (shown,) = (await (await pool.front_end()).ask("getRecordings")).iterfind("recordings/recording")
    assert [shown.findtext(name) for name in ("recordID", "meetingID", "name", "state", "published", "protected")] == [
        record_id(1),
        "r<o>&m",
        "Größe & <b>",
        "published",
        "true",
        "false",
    ]
    assert [shown.findtext(name) for name in ("startTime", "endTime")] == [str(BEGIN + 1), str(BEGIN + 150_001)]
    assert shown.findtext("metadata/gl-name") == "<&>"
    assert shown.findtext("playback/format/length") == "2"
    assert shown.findtext("playback/format/url") == f"http://gateway/playback/presentation/2.3/{record_id(1)}"


@pytest.mark.parametrize(
    ("settings", "url"),
    [({"public_url": "https://bbb.example/"}, "https://bbb.example"), ({"url_host": "pool.example"}, "https://pool.example")],
)
async def test_links_lead_to_the_configured_address(database_url: str, settings: dict[str, Any], url: str) -> None:
    async with running_pool(database_url, **settings) as pool:
        await plant(pool, 1)
        answer = await (await pool.front_end()).ask("getRecordings")
        assert (answer.findtext(".//format/url") or "").startswith(f"{url}/playback/")


async def test_recordings_of_one_moment_have_an_order_too(pool: RunningPool) -> None:
    planted = [await plant(pool, 1, record_id=record_id(1, digit * 40)) for digit in "5a07"]
    answers = [await (await pool.front_end()).ask("getRecordings") for _ in range(3)]
    assert [ids(answer) for answer in answers] == [sorted(planted, reverse=True)] * 3


async def test_pages_hold_the_list_between_them(listing: FrontEnd) -> None:
    whole = numbers(await listing.ask("getRecordings"))
    paged = []
    for offset in range(0, 8, 2):
        answer = await listing.ask("getRecordings", offset=str(offset), limit="2")
        paged += numbers(answer)
        assert [answer.findtext(path) for path in ("totalElements", "pagination/totalElements", "pagination/empty")] == [
            "7",
            "7",
            "false",
        ]
        assert answer.findtext("pagination/pageable/offset") == str(offset)
    assert paged == whole
    beyond = await listing.ask("getRecordings", offset="7", limit="2")
    assert numbers(beyond) == []
    assert (key_of(beyond), beyond.findtext("totalElements"), beyond.findtext("pagination/empty")) == (
        "noRecordings",
        "7",
        "true",
    )


async def test_a_page_counts_what_the_filters_let_through(listing: FrontEnd) -> None:
    for asked in ({"meetingID": "room"}, {"recordID": DIGEST, "meta_origin": "%"}):
        answer = await listing.ask("getRecordings", limit="1", **asked)
        assert (len(ids(answer)), answer.findtext("totalElements")) == (
            1,
            str(len(ids(await listing.ask("getRecordings", **asked)))),
        )


@pytest.mark.parametrize("limit", ["", "0", "101", "-1", "ten", "1.5", "9" * 30])
async def test_a_limit_that_is_none_makes_no_pages(listing: FrontEnd, limit: str) -> None:
    answer = await listing.ask("getRecordings", offset="1", limit=limit)
    assert len(ids(answer)) == 7
    assert answer.find("pagination") is None


@pytest.mark.parametrize("offset", ["-1", "x", "9" * 30, ""])
async def test_an_offset_that_is_none_is_the_beginning(listing: FrontEnd, offset: str) -> None:
    assert numbers(await listing.ask("getRecordings", offset=offset, limit="1")) == [9]


async def test_a_form_is_as_good_as_a_query(listing: FrontEnd) -> None:
    form = urlencode({"meetingID": "room", "state": "deleted"})
    checksum = sign("getRecordings", form.encode(), SECRET)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await listing.http.post(f"{ENDPOINT}/getRecordings", content=f"{form}&checksum={checksum}", headers=headers)
    assert numbers(read(answer)) == [7]


async def test_a_tenant_finds_its_own_recordings_only(tenants: RunningPool) -> None:
    for number, name in ((1, "a"), (2, "b"), (3, "b")):
        await plant(tenants, number, tenant=f"id-of-{name}", meeting_id="room", metadata={"x": "y"})
    a, b = await both(tenants)
    asked: list[dict[str, str]] = [
        {},
        {"meetingID": "room"},
        {"recordID": DIGEST},
        {"recordID": f"{record_id(1)},{record_id(2)},{record_id(3)}"},
        {"state": "any"},
        {"meta_x": "y"},
        {"meta_x": "%"},
        {"limit": "9"},
    ]
    for parameters in asked:
        answers = [await tenant.ask("getRecordings", **parameters) for tenant in (a, b)]
        assert [numbers(answer) for answer in answers] == [[1], [3, 2]]
        if "limit" in parameters:
            assert [answer.findtext("totalElements") for answer in answers] == ["1", "2"]
    foreign, unknown = [await a.get("getRecordings", recordID=record_id(number)) for number in (2, 99)]
    assert foreign.content == unknown.content


@pytest.mark.parametrize("by_path", [False, True])
async def test_links_lead_to_where_the_tenant_is_known(tenants: RunningPool, by_path: bool) -> None:
    await plant(tenants, 1, tenant="id-of-a")
    answer = await TenantFrontEnd(await tenants.front_end(), "a", by_path=by_path).ask("getRecordings")
    base_url = "http://gateway/t/a" if by_path else "http://a.pool.example"
    assert answer.findtext(".//format/url") == f"{base_url}/playback/presentation/2.3/{record_id(1)}"


async def test_each_answer_opens_a_protected_recording_with_links_of_its_own(pool: RunningPool) -> None:
    await plant(pool, 1, is_protected=True)
    await plant(pool, 2)
    front_end = await pool.front_end()
    tokens = []
    for _ in range(2):
        unprotected, shown = (await front_end.ask("getRecordings")).iterfind("recordings/recording")
        url = urlsplit(shown.findtext("playback/format/url") or "")
        assert url.path == f"/recording/{record_id(1)}/presentation"
        tokens.append(url.query.removeprefix("token="))
        assert "token" not in (unprotected.findtext("playback/format/url") or "")
    assert len(set(tokens)) == 2
    assert all(front_end.gateway.links.opens(playing(record_id(1), "presentation"), token) for token in tokens)
    assert not front_end.gateway.links.opens(playing(record_id(2), "presentation"), tokens[0])


async def test_lists_without_a_filter_can_be_refused(database_url: str) -> None:
    async with running_pool(database_url, get_recordings_api_filtered=True) as pool:
        await plant(pool, 1, meeting_id="room")
        front_end = await pool.front_end()
        for asked in ({}, {"state": "any"}, {"meta_x": "y"}, {"limit": "1"}):
            answer = await front_end.ask("getRecordings", **asked)
            assert (key_of(answer), answer.findtext("message")) == (
                "missingParameters",
                "param meetingID or recordID must be included.",
            )
        assert numbers(await front_end.ask("getRecordings", meetingID="room")) == [1]
        assert numbers(await front_end.ask("getRecordings", recordID=DIGEST)) == [1]


async def test_without_recordings_there_are_none(database_url: str) -> None:
    async with running_pool(database_url, recording_disabled=True) as pool:
        await plant(pool, 1)
        front_end = await pool.front_end()
        assert key_of(await front_end.ask("getRecordings")) == "noRecordings"
        for call in ("publishRecordings", "deleteRecordings", "updateRecordings"):
            answer = await front_end.ask(call, recordID=record_id(1), publish="true")
            assert (key_of(answer), answer.findtext("message")) == ("notFound", "We could not find recordings")


async def test_an_outage_is_no_empty_library(listing: FrontEnd) -> None:
    await listing.gateway.database.close()
    answer = await listing.ask("getRecordings")
    assert (answer.findtext("returncode"), key_of(answer)) == ("FAILED", "internalError")


async def test_calls_at_once_do_not_wait_for_each_other(listing: FrontEnd) -> None:
    answers = await asyncio.gather(*(listing.ask("getRecordings", meetingID="room") for _ in range(40)))
    assert {tuple(numbers(answer)) for answer in answers} == {(6, 3, 2, 1)}
