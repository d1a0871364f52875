"""A browser plays a recording from a gateway as the process it is: a protected one, by its link and not without."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from gateway.playback_links import PlaybackLinks, playing
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key
from meetingpool.domain.recordings import RecordId
from meetingpool.settings import Settings
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.recordings import Files, planted_recording, storage_of

WEBM = Path(__file__).parents[2] / "simulator/data/recording.webm"
# For whatever the browser has to wait for, in milliseconds.
PATIENCE = 20_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
# As BBB's page does: the player itself is a script beside it. The other script is what somebody put into the meeting's name.
BBB_PAGE = b"""<!DOCTYPE html><html><head><title>A room</title><script src="js/video.js"></script>
<script>document.documentElement.dataset.intruder = "ran"</script></head>
<body><h1>A room</h1><video controls src="video-0.webm"></video></body></html>"""
BBB_SCRIPT = b'document.documentElement.dataset.player = "ran"'


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Playing in a browser needs Chromium; on Debian: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    yield await context.new_page()
    await context.close()


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(database_url, MEETINGPOOL_DATA_DIR=str(tmp_path)) as gateway:
        yield gateway


async def plant(database: Database, directory: Path, files: Files, *, is_protected: bool = False) -> RecordId:
    storage = storage_of(Settings(data_dir=directory))
    formats = {"video": {"video-0.webm": WEBM.read_bytes(), **files}}
    return await planted_recording(database, storage, formats, is_protected=is_protected)


async def link_to(database: Database, gateway: GatewayProcess, record_id: RecordId) -> str:
    """As getRecordings would give it."""
    async with database.transaction() as connection:
        links = PlaybackLinks(await callback_key(connection), SystemClock())
    return f"{gateway.origin}/recording/{record_id}/video?token={links.token_for(playing(record_id, 'video'), 60)}"


async def plays(page: Page) -> None:
    """Waits until the video of the page has everything it needs and moves on; fails when it does not."""
    assert await page.eval_on_selector("video", "video => { video.muted = true; return video.play().then(() => true) }")
    await page.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
    assert await page.eval_on_selector("video", "video => video.readyState") >= 2
    assert await page.eval_on_selector("video", "video => video.duration") == pytest.approx(5, abs=1)


async def test_a_protected_recording_plays_by_its_link_only(
    page: Page, browser: Browser, gateway: GatewayProcess, database: Database, tmp_path: Path
) -> None:
    record_id = await plant(database, tmp_path, {}, is_protected=True)
    link = await link_to(database, gateway, record_id)
    await page.goto(link)
    assert page.url == f"{gateway.origin}/video/{record_id}/"
    assert await page.inner_text("h1") == "A room"
    await plays(page)
    # Over to what lies behind what was loaded first, as somebody does who looks for a moment.
    await page.eval_on_selector("video", "video => { video.currentTime = 4 }")
    await page.wait_for_function("() => document.querySelector('video').currentTime > 4.1")

    stranger = await (await browser.new_context()).new_page()
    for address in (link, page.url, f"{page.url}video-0.webm"):
        answer = await stranger.goto(address)
        assert answer is not None
        assert answer.status == 404
        assert await stranger.inner_text("h1") == "Recording Not Found"


async def test_keys_play_at_once(page: Page, gateway: GatewayProcess, database: Database, tmp_path: Path) -> None:
    record_id = await plant(database, tmp_path, {})
    await page.goto(f"{gateway.origin}/recording/{record_id}/video")
    await page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    assert await page.evaluate("() => document.activeElement.tagName") == "VIDEO"
    await page.keyboard.press("Space")
    await page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")


async def test_bbbs_own_page_plays_with_its_scripts_and_with_no_other(
    page: Page, gateway: GatewayProcess, database: Database, tmp_path: Path
) -> None:
    record_id = await plant(database, tmp_path, {"index.html": BBB_PAGE, "js/video.js": BBB_SCRIPT}, is_protected=True)
    await page.goto(await link_to(database, gateway, record_id))
    await plays(page)
    assert await page.evaluate("() => ({...document.documentElement.dataset})") == {"player": "ran"}


async def test_a_script_of_a_recording_gets_at_no_other_page(
    page: Page, gateway: GatewayProcess, database: Database, tmp_path: Path
) -> None:
    script = b'document.documentElement.dataset.other = window.open("/livez") ? "opened" : "none"'
    record_id = await plant(database, tmp_path, {"index.html": BBB_PAGE, "js/video.js": script})
    await page.goto(f"{gateway.origin}/video/{record_id}/")
    await plays(page)
    assert await page.evaluate("() => document.documentElement.dataset.other") == "none"
