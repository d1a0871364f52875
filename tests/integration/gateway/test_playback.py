"""Playing recordings: who may, where links lead, and that all else has one answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.limits import is_overrun
from gateway.playback_links import playing
from gateway.playback_passes import Place
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import RecordingState
from meetingpool.domain.tenants import Tenant
from tests.recordings import LINKS, Library, change_recording, library, new_record_id

VIDEO = {"video-0.webm": b"moving pictures", "metadata.xml": b"<recording/>"}
ALL = {
    "presentation": {"metadata.xml": b"<recording/>", "slides_new.xml": b"<popcorn/>"},
    "video": VIDEO,
    "screenshare": {"screenshare-0.webm": b"a screen"},
    "podcast": {"audio.ogg": b"sound"},
    "notes": {"notes.pdf": b"%PDF-"},
}


@dataclass
class SetClock:
    now: float = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return self.now


@pytest.fixture
async def shelf(database_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    async with library(database_url, tmp_path) as shelf:
        yield shelf


async def test_a_link_leads_to_where_the_format_is_played(shelf: Library) -> None:
    record_id = await shelf.plant(ALL)
    for format_name, link in LINKS.items():
        answer = await shelf.get(f"/recording/{record_id}/{format_name}")
        assert (answer.status_code, answer.headers["location"]) == (307, link.format(record_id))
        assert "set-cookie" not in answer.headers


async def test_the_link_of_bbb_plays(shelf: Library) -> None:
    record_id = await shelf.plant(ALL)
    shelf.browser.follow_redirects = True
    for format_name in ("video", "screenshare", "podcast", "notes"):
        answer = await shelf.get(f"/recording/{record_id}/{format_name}")
        assert answer.status_code == 200
        assert answer.url.path.startswith(f"/{format_name}/{record_id}/")


async def test_a_file_is_sent_as_it_is(shelf: Library) -> None:
    record_id = await shelf.plant(ALL)
    answer = await shelf.get(f"/video/{record_id}/video-0.webm")
    assert answer.status_code == 200
    assert answer.content == b"moving pictures"
    assert answer.headers["content-type"] == "video/webm"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("state", [RecordingState.PROCESSING, RecordingState.UNPUBLISHED, RecordingState.DELETED])
async def test_what_is_not_published_looks_like_what_is_not_there(shelf: Library, state: RecordingState) -> None:
    hidden, unknown = await shelf.plant(ALL, state=state), new_record_id()
    for path in ("/recording/{}/video", "/video/{}/video-0.webm", "/video/{}/", "/video/{}"):
        answer, expected = await shelf.get(path.format(hidden)), await shelf.get(path.format(unknown))
        assert answer.status_code == expected.status_code == 404
        assert answer.content == expected.content
        assert answer.headers == expected.headers
    assert b"<h1>Recording Not Found</h1>" in answer.content


async def test_a_format_that_a_recording_lacks_is_not_found(shelf: Library) -> None:
    record_id = await shelf.plant({"video": VIDEO})
    assert (await shelf.get(f"/recording/{record_id}/podcast")).status_code == 404
    assert (await shelf.get(f"/podcast/{record_id}/audio.ogg")).status_code == 404


async def test_unpublishing_stops_the_next_request_while_the_files_are_still_there(shelf: Library) -> None:
    record_id = await shelf.plant({"video": VIDEO})
    path = f"/video/{record_id}/video-0.webm"
    assert (await shelf.get(path)).status_code == 200
    await change_recording(shelf.gateway.database, record_id, state="unpublished")
    assert (await shelf.get(path)).status_code == 404


async def test_a_link_to_another_host_or_to_itself_is_not_followed(shelf: Library) -> None:
    record_id = await shelf.plant({"video": VIDEO})
    to_others = ("//evil.example/", "/\\evil.example/", "https://evil.example/", "/a b", "/a\r\nset-cookie: b=c")
    for link in (*to_others, f"/recording/{record_id}/video", f"/recording/{record_id}/video?again"):
        async with shelf.gateway.database.transaction() as connection:
            await connection.execute(
                "UPDATE recording_formats SET description['link'] = to_jsonb($2::text) WHERE record_id = $1",
                record_id,
                link,
            )
        answer = await shelf.get(f"/recording/{record_id}/video")
        assert answer.headers["location"] == f"/video/{record_id}/"


async def test_without_recordings_nothing_is_played(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path, recording_disabled=True) as shelf:
        record_id = await shelf.plant(ALL)
        for path in (
            f"/recording/{record_id}/video",
            f"/video/{record_id}/video-0.webm",
            f"/playback/presentation/2.3/{record_id}",
        ):
            assert (await shelf.get(path)).status_code == 404


async def test_however_many_ask_for_recordings_calls_find_places_and_the_database(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path, max_requests=32) as shelf:
        record_id = await shelf.plant(ALL)
        async with shelf.gateway.database.transaction() as connection, asyncio.timeout(3):
            await connection.execute("LOCK TABLE recordings")
            asked = [asyncio.create_task(shelf.get(f"/video/{record_id}/video-0.webm")) for _ in range(20)]
            while sum(each.done() for each in asked) < 16:
                await asyncio.sleep(0.01)
            assert {(await each).status_code for each in asked if each.done()} == {503}
            assert not is_overrun(shelf.gateway)
            assert (await shelf.get("/bigbluebutton/api")).status_code == 200
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert (statuses.count(200), statuses.count(503)) == (4, 16)


# Protected recordings


def token_for(shelf: Library, record_id: str, format_name: str = "video", seconds: int = 60) -> str:
    return shelf.gateway.links.token_for(playing(record_id, format_name), seconds)


async def test_a_protected_recording_opens_by_its_link_once(shelf: Library) -> None:
    record_id = await shelf.plant(ALL, is_protected=True)
    link = f"/recording/{record_id}/video?token={token_for(shelf, record_id)}"
    file = f"/video/{record_id}/video-0.webm"
    assert (await shelf.get(file)).status_code == 404
    opened = await shelf.get(link)
    assert opened.status_code == 307
    assert opened.headers["cache-control"] == "no-store"
    assert (await shelf.get(file)).content == b"moving pictures"
    assert (await shelf.get(link)).status_code == 404


async def test_of_a_hundred_uses_of_one_link_exactly_one_succeeds(shelf: Library) -> None:
    record_id = await shelf.plant(ALL, is_protected=True)
    link = f"/recording/{record_id}/video?token={token_for(shelf, record_id)}"
    answers = await asyncio.gather(*(shelf.get(link) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [307] + [404] * 99


async def test_looking_at_a_link_does_not_use_it_up(shelf: Library) -> None:
    record_id = await shelf.plant(ALL, is_protected=True)
    link = f"/recording/{record_id}/video?token={token_for(shelf, record_id)}"
    looked = await shelf.browser.head(link)
    assert looked.status_code == 307
    assert "set-cookie" not in looked.headers
    assert (await shelf.get(link)).status_code == 307
    assert (await shelf.browser.head(f"/recording/{record_id}/video?token={'0' * 64}")).status_code == 404


async def test_a_token_opens_only_what_it_was_made_for(shelf: Library) -> None:
    record_id, other = await shelf.plant(ALL, is_protected=True), await shelf.plant(ALL, is_protected=True)
    good = token_for(shelf, record_id)
    flipped = f"{good[:-1]}{'0' if good[-1] != '0' else '1'}"
    for token in (
        "",
        "0" * 64,
        good[:-2],
        good.upper() if good.upper() != good else "A" * 64,
        good + "00",
        flipped,
        token_for(shelf, other),
        token_for(shelf, record_id, "podcast"),
        token_for(shelf, record_id, seconds=0),
    ):
        assert (await shelf.get(f"/recording/{record_id}/video?token={token}")).status_code == 404
    assert (await shelf.get(f"/recording/{record_id}/video?token={good}")).status_code == 307


async def test_links_and_passes_end(database_url: str, tmp_path: Path) -> None:
    clock = SetClock()
    async with library(database_url, tmp_path, clock=clock, protected_recordings_timeout=60) as shelf:
        record_id = await shelf.plant(ALL, is_protected=True)
        late, good = token_for(shelf, record_id, seconds=60), token_for(shelf, record_id, seconds=600)
        clock.now += 60
        assert (await shelf.get(f"/recording/{record_id}/video?token={late}")).status_code == 404
        assert (await shelf.get(f"/recording/{record_id}/video?token={good}")).status_code == 307
        clock.now += 3599
        assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 200
        clock.now += 1
        assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 404


async def test_used_links_are_forgotten_long_after_they_ended(database_url: str, tmp_path: Path) -> None:
    clock = SetClock()
    async with library(database_url, tmp_path, clock=clock) as shelf:
        database, links = shelf.gateway.database, shelf.gateway.links
        first = links.token_for("a", 60)
        assert await links.use(database, "a", first)
        clock.now += 3600 + 61
        assert await links.use(database, "b", links.token_for("b", 60))
        assert [row["count"] for row in await database.rows("SELECT count(*) FROM used_links")] == [1]
        assert not await links.use(database, "a", first)


def cookie_of(shelf: Library, place: Place) -> dict[str, str]:
    header = shelf.gateway.passes.cookie(place, is_secure=False)
    name, value = header.partition(";")[0].split("=")
    return {name: value}


async def test_a_pass_is_for_one_format_of_one_recording_of_one_tenant(shelf: Library) -> None:
    record_id, other = await shelf.plant(ALL, is_protected=True), await shelf.plant(ALL, is_protected=True)
    place = Place(tenant=DEFAULT_TENANT, record_id=record_id, format="video")
    ((name, value),) = cookie_of(shelf, place).items()
    expiry, proof = value.split(".")

    async def status(cookie: str) -> int:
        return (await shelf.get(f"/video/{record_id}/video-0.webm", cookie=f"{name}={cookie}")).status_code

    assert await status(value) == 200
    for wrong in (
        Place(tenant=DEFAULT_TENANT, record_id=other, format="video"),
        Place(tenant=DEFAULT_TENANT, record_id=record_id, format="podcast"),
        Place(tenant="another", record_id=record_id, format="video"),
    ):
        ((_, value_for_other),) = cookie_of(shelf, wrong).items()
        assert await status(value_for_other) == 404
    for tampered in (f"{int(expiry) + 1}.{proof}", f"{expiry}.{proof[::-1]}", expiry, f".{proof}", f"0{value}", f"{value}0", "x"):
        assert await status(tampered) == 404


async def test_the_pass_of_a_browser_goes_to_the_format_only(shelf: Library) -> None:
    record_id = await shelf.plant(ALL, is_protected=True)
    opened = await shelf.get(f"/recording/{record_id}/video?token={token_for(shelf, record_id)}")
    name, _, attributes = opened.headers["set-cookie"].partition("=")
    assert name == f"recording_video_{record_id}"
    assert attributes.partition("; ")[2] == f"Path=/video/{record_id}; HttpOnly; SameSite=Lax"


async def test_over_https_the_pass_may_be_used_within_front_ends(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path, base_url="https://pool") as shelf:
        record_id = await shelf.plant(ALL, is_protected=True)
        opened = await shelf.get(f"/recording/{record_id}/video?token={token_for(shelf, record_id)}")
        name, _, attributes = opened.headers["set-cookie"].partition("=")
        assert name == f"__Secure-recording_video_{record_id}"
        assert attributes.partition("; ")[2] == f"Path=/video/{record_id}; HttpOnly; Secure; SameSite=None; Partitioned"
        assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 200


async def test_unpublishing_ends_passes_at_once(shelf: Library) -> None:
    record_id = await shelf.plant(ALL, is_protected=True)
    cookie = cookie_of(shelf, Place(tenant=DEFAULT_TENANT, record_id=record_id, format="video"))
    shelf.browser.cookies.update(cookie)
    assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 200
    await change_recording(shelf.gateway.database, record_id, state="unpublished")
    assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 404


# Tenants


@pytest.fixture
async def two_tenants(database_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    async with library(database_url, tmp_path, multitenancy_enabled=True, url_host="pool.example.org") as shelf:
        async with shelf.gateway.database.transaction() as connection:
            for name in ("a", "b"):
                await insert_tenant(connection, Tenant(id=f"id-{name}", name=name, secrets=(f"secret-{name}",)))
        while shelf.gateway.tenants.named("b") is None:
            await asyncio.sleep(0.01)
        yield shelf


async def test_a_tenant_plays_its_own_recordings_only(two_tenants: Library) -> None:
    shelf = two_tenants
    record_id = await shelf.plant(ALL, tenant="id-a")
    for path in (f"/video/{record_id}/video-0.webm", f"/recording/{record_id}/video"):
        unknown = await shelf.get(path.replace(record_id, new_record_id()), host="a.pool.example.org")
        assert (await shelf.get(path, host="a.pool.example.org")).status_code != 404
        for host in ("b.pool.example.org", "pool.example.org", "a.evil.example.org", "nobody.pool.example.org"):
            answer = await shelf.get(path, host=host)
            assert answer.status_code == 404
            assert answer.content == unknown.content
        assert (await shelf.get(f"/t/a{path}")).status_code != 404
        assert (await shelf.get(f"/t/b{path}")).status_code == 404


async def test_below_a_tenants_path_everything_stays_below_it(two_tenants: Library) -> None:
    shelf = two_tenants
    record_id = await shelf.plant(ALL, tenant="id-a", is_protected=True)
    opened = await shelf.get(f"/t/a/recording/{record_id}/video?token={token_for(shelf, record_id)}")
    assert opened.headers["location"] == f"/t/a/playback/video/{record_id}/"
    assert f"Path=/t/a/video/{record_id};" in opened.headers["set-cookie"]
    forwarded = await shelf.get(opened.headers["location"])
    assert forwarded.headers["location"] == f"/t/a/video/{record_id}/"
    assert (await shelf.get(forwarded.headers["location"])).status_code == 200
    player = await shelf.get(f"/t/a/playback/presentation/2.3/{record_id}")
    assert player.headers["location"] == f"/playback/presentation/2.3/{record_id}?p=../t/a/presentation"
