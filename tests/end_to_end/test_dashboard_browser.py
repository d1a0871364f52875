"""The dashboard in a browser: every page at three widths in both schemes, by keyboard, live, and without scripts."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from gateway.dashboard.pages import PAGES
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.end_to_end.test_browser_playback import ARGUMENTS, PATIENCE
from tests.keys import SECRET_KEY
from tests.management import RECORDINGS, ManagedPool, managed_pool

WIDTHS = (390, 820, 1440)
PLACES = {"server": "spare", "tenant": "id-of-a"}

# Every text that is seen, whose contrast with what is behind it is below what WCAG 2.2 asks for on level AA.
FAINT = """() => {
    const sheet = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const canvas = sheet.getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r, g, b]) => [r, g, b]
        .map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const color = rgba(getComputedStyle(each).backgroundColor);
            if (color[3] > 250) return color;
        }
        return rgba(getComputedStyle(document.documentElement).backgroundColor);
    };
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest(':disabled, .idle summary')) continue;
        const style = getComputedStyle(element);
        const color = rgba(element.closest('svg') ? style.fill : style.color);
        const [light, dark] = [luminance(color), luminance(behind(element))].sort((a, b) => b - a);
        const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        const ratio = (light + 0.05) / (dark + 0.05);
        if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${texts.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
    }
    return faint;
}"""
# Whatever one can use that has no name for those who do not see it.
NAMELESS = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary, svg[role=img]')]
    .filter((each) => each.checkVisibility() && !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
    .map((each) => each.outerHTML)"""


@dataclass
class Seen:
    """A page of a browser, and what it complained of."""

    page: Page
    origin: str
    complaints: list[str]

    async def go(self, path: str) -> None:
        answer = await self.page.goto(f"{self.origin}/dashboard{path}")
        assert answer is not None
        assert answer.status == 200, path


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("The dashboard in a browser needs Chromium; on Debian: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def managed(database_url: str, tmp_path: Path) -> AsyncIterator[ManagedPool]:
    async with managed_pool(database_url, tmp_path) as managed:
        yield managed


@pytest.fixture
async def gateway(managed: ManagedPool, database_url: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(
        database_url,
        MEETINGPOOL_DATA_DIR=str(tmp_path),
        MEETINGPOOL_SECRET_KEY=SECRET_KEY,
        MEETINGPOOL_MULTITENANCY_ENABLED="true",
    ) as gateway:
        yield gateway


@asynccontextmanager
async def looking(browser: Browser, gateway: GatewayProcess, token: str | None, **options: Any) -> AsyncIterator[Seen]:
    """A browser that is signed in by a link, and that must not complain."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    seen = Seen(page, gateway.origin, [])
    page.on("console", lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    if token:
        await page.goto(f"{gateway.origin}/dashboard#{token}")
        await page.wait_for_selector("nav[aria-label='Pages']")
        assert token not in page.url
    yield seen
    assert seen.complaints == []
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_and_can_be_read(
    browser: Browser, gateway: GatewayProcess, managed: ManagedPool, scheme: str
) -> None:
    async with looking(browser, gateway, managed.tokens["admin"], color_scheme=scheme) as seen:
        for width in WIDTHS:
            await seen.page.set_viewport_size({"width": width, "height": 900})
            for page in PAGES:
                path = page.path.format(**PLACES).removeprefix("/dashboard")
                await seen.go(path)
                assert await seen.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert await seen.page.evaluate(FAINT) == [], (path, width)
                assert await seen.page.evaluate(NAMELESS) == [], (path, width)
                assert await seen.page.locator("h1").count() == 1


async def test_a_page_follows_what_others_change(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    async with looking(browser, gateway, managed.tokens["auditor"]) as seen:
        await seen.page.wait_for_selector("#liveness:has-text('Live')")
        assert not await seen.page.locator("#server-spare .state.cordoned").count()
        await managed.done("POST", "/servers/spare/cordon")
        await seen.page.wait_for_selector("#server-spare .state.cordoned")


async def test_what_is_ticked_stays_so_while_the_list_changes(
    browser: Browser, gateway: GatewayProcess, managed: ManagedPool
) -> None:
    async with looking(browser, gateway, managed.tokens["admin"]) as seen:
        await seen.go("/recordings")
        await seen.page.wait_for_selector("#liveness:has-text('Live')")
        await seen.page.check(f"input[value='{RECORDINGS['a']}']")
        await managed.done("PATCH", f"/recordings/{RECORDINGS['b']}", json={"protected": True})
        await seen.page.wait_for_selector("tbody .tag:has-text('protected')")
        assert await seen.page.is_checked(f"input[value='{RECORDINGS['a']}']")
        assert await seen.page.inner_text(".bulk .count") == "1 chosen"


async def test_a_server_is_cordoned_by_keyboard_alone(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    async with looking(browser, gateway, None) as seen:
        page = seen.page
        await page.goto(f"{gateway.origin}/dashboard/servers/spare")
        await page.keyboard.type(managed.tokens["operator"])
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h1:has-text('127.0.0.1')")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        await to(page, "Cordon")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("button:focus:has-text('Cordon it')")
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.textContent") == "Cordon"
        assert not await page.locator("details[open]").count()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("button:focus:has-text('Cordon it')")
        await page.keyboard.press("Enter")
        assert await page.inner_text("[role='status'].said") == "Server spare is cordoned and was disabled"


async def to(page: Page, label: str) -> None:
    """Goes on by the tabulator key to what is called so."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == label:
            return
    raise AssertionError(f"{label} is not reached by keyboard")


async def test_panic_asks_for_the_id(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    async with looking(browser, gateway, managed.tokens["operator"]) as seen:
        page = seen.page
        await seen.go("/servers/spare")
        await page.click("summary:has-text('Panic')")
        await page.keyboard.type("spar")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.querySelector('[name=typed]').matches(':invalid')")
        await page.keyboard.type("e")
        await page.keyboard.press("Enter")
        assert "is given up" in await page.inner_text("[role='status'].said")


async def test_several_meetings_are_ended_together(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    async with looking(browser, gateway, managed.tokens["admin"]) as seen:
        await seen.go("/meetings")
        assert await seen.page.is_disabled("button:has-text('End them')")
        await seen.page.check("#all")
        await seen.page.click("summary:has-text('End')")
        await seen.page.click("button:has-text('End them')")
        assert await seen.page.inner_text("[role='status'].said") == "2 meetings are ended"
    assert all(not server.meetings for server in managed.pool.fleet.servers)


async def test_a_recording_plays_from_its_list(browser: Browser, gateway: GatewayProcess, managed: ManagedPool) -> None:
    await managed.done("PATCH", f"/recordings/{RECORDINGS['a']}", json={"protected": True})
    async with looking(browser, gateway, managed.tokens["admin"]) as seen:
        await seen.go("/recordings?q=of+a")
        async with seen.page.context.expect_page() as opened:
            await seen.page.click("a.play")
        played = await opened.value
        await played.wait_for_load_state()
        assert played.url.startswith(f"{gateway.origin}/playback/presentation/")
        assert "token=" not in played.url


async def test_a_link_from_elsewhere_finds_who_is_signed_in(
    browser: Browser, gateway: GatewayProcess, managed: ManagedPool
) -> None:
    async with looking(browser, gateway, managed.tokens["admin"]) as seen:
        await seen.page.goto(f"data:text/html,<a href='{gateway.origin}/dashboard/audit'>there</a>")
        await seen.page.click("a")
        await seen.page.wait_for_url("**/dashboard/audit")
        await seen.page.wait_for_selector("h1:has-text('Audit')")


async def test_pages_are_read_and_actions_done_without_scripts(
    browser: Browser, gateway: GatewayProcess, managed: ManagedPool
) -> None:
    async with looking(browser, gateway, None, java_script_enabled=False) as seen:
        page = seen.page
        await page.goto(f"{gateway.origin}/dashboard")
        await page.fill("input[name='token']", managed.tokens["admin"])
        await page.click("button")
        for each in PAGES:
            await seen.go(each.path.format(**PLACES).removeprefix("/dashboard"))
        await seen.go("/servers/spare")
        await page.click("summary:has-text('Enable')")
        await page.click("button:has-text('Enable it')")
        assert await page.inner_text("[role='status'].said") == "Server spare is enabled and was disabled"
        await page.click("button:has-text('Sign out')")
        assert page.url == f"{gateway.origin}/dashboard/sign-in"
