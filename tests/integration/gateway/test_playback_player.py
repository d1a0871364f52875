"""Presentations: the player that administrators install, and the addresses that older players had."""

from pathlib import Path

import pytest

from meetingpool.domain.recordings import RecordId
from tests.recordings import Library, library, new_record_id, plant_files

PLAYER = "/playback/presentation/2.3"
BUILD = {"index.html": b"<title>the player</title>", "static/js/main.0a1b.js": b"play()", "config.json": b"{}", ".hidden": b"no"}


async def test_the_player_plays_whatever_recording_its_address_names(database_url: str, tmp_path: Path) -> None:
    plant_files(tmp_path / "player", BUILD)
    async with library(database_url, tmp_path / "data", playback_app_dir=tmp_path / "player") as shelf:
        for path in (
            f"{PLAYER}/{new_record_id()}",
            f"{PLAYER}/",
            PLAYER,
            f"{PLAYER}/{new_record_id()}?t=1m2s",
            f"{PLAYER}/static",
        ):
            answer = await shelf.get(path)
            assert (answer.status_code, answer.content) == (200, BUILD["index.html"])
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
        script = await shelf.get(f"{PLAYER}/static/js/main.0a1b.js")
        assert script.content == b"play()"
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in script.headers["cache-control"]
        for path in (f"{PLAYER}/.hidden", f"{PLAYER}/..%2fdata/x", f"{PLAYER}/%2e%2e/data"):
            assert (await shelf.get_raw(path.encode()))[0] == 404


@pytest.mark.parametrize("is_set", [True, False])
async def test_without_the_player_the_page_says_what_is_missing(database_url: str, tmp_path: Path, is_set: bool) -> None:
    directory = tmp_path / "nothing" if is_set else None
    async with library(database_url, tmp_path, playback_app_dir=directory) as shelf:
        answer = await shelf.get(f"{PLAYER}/{new_record_id()}")
        assert answer.status_code == 501
        assert b"MEETINGPOOL_PLAYBACK_APP_DIR" in answer.content


async def test_links_of_older_players_have_moved(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path) as shelf:
        record_id = new_record_id()
        for version in ("/2.0", "/0.9.0", "/0.81", ""):
            path = f"/playback/presentation{version}/playback.html"
            for query, rest in (("", ""), ("&t=1m20s", "?t=1m20s"), ("&a=%0d%0ab", "?a=%0D%0Ab")):
                answer = await shelf.get(f"{path}?meetingId={record_id}{query}")
                assert (answer.status_code, answer.headers["location"]) == (301, f"{PLAYER}/{record_id}{rest}")
            assert (await shelf.get(f"{path}?meetingId=//evil.example")).status_code == 404
            assert (await shelf.get(path)).status_code == 404


MOVED = {
    "/playback/video/{}": "/video/{}/",
    "/playback/video/{}/": "/video/{}/",
    "/playback/video/{}/video-0.webm": "/video/{}/video-0.webm",
    "/recording/screenshare/{}": "/screenshare/{}/",
    "/recording/screenshare/{}/a%20b": "/screenshare/{}/a%20b",
    "/t/a/playback/video/{}/": "/t/a/video/{}/",
}


async def test_addresses_of_bbbs_hosts_lead_to_ours(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path) as shelf:
        record_id = new_record_id()
        for path, leads_to in MOVED.items():
            answer = await shelf.get(path.format(record_id))
            assert (answer.status_code, answer.headers["location"]) == (307, leads_to.format(record_id))


async def test_addresses_that_cannot_be_recordings_look_like_all_others(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path) as shelf:
        expected = await shelf.get(f"/recording/{new_record_id()}/video")
        for path in (
            "/recording/x/video",
            "/recording/",
            "/playback/video/x",
            f"/recording/{new_record_id()}/VIDEO",
            "/playback/",
        ):
            answer = await shelf.get(path)
            assert (answer.status_code, answer.content) == (404, expected.content)
        status, _ = await shelf.get_raw(f"/t/a%0d%0ax:y/playback/video/{new_record_id()}/".encode())
        assert status == 404


async def test_the_tree_of_a_presentation_leads_to_the_player(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path) as shelf:
        record_id = await plant(shelf)
        for path in (f"/presentation/{record_id}", f"/presentation/{record_id}/"):
            assert (await shelf.get(path)).headers["location"] == f"{PLAYER}/{record_id}"


async def plant(shelf: Library) -> RecordId:
    return await shelf.plant({"presentation": {"metadata.xml": b"<recording/>"}})
