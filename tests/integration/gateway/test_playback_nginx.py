"""nginx with the configuration that is handed out, before a gateway: it sends what the gateway lets it, and nothing else."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.playback_links import PlaybackLinks, playing
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key
from meetingpool.settings import Settings
from tests.end_to_end.processes import GatewayProcess, free_port, gateway_process
from tests.recordings import Files, plant_files, planted_recording, storage_of

CONFIGURATION = Path(__file__).parents[3] / "deploy/nginx/meetingpool.conf"
FILES: Files = {"video-0.webm": b"0123456789", "notes.svg": b"<svg/>", "Prüfung 1.txt": b"text", "index.html": b"a page"}


@dataclass
class Site:
    browser: httpx.AsyncClient
    database: Database
    directory: Path
    gateway: GatewayProcess

    async def plant(self, *, is_protected: bool = False) -> str:
        storage = storage_of(Settings(data_dir=self.directory))
        return await planted_recording(self.database, storage, {"video": FILES}, is_protected=is_protected)


def configuration(directory: Path, port: int, gateway_port: int) -> str:
    """The whole of it, for a machine without certificates, and with other directories."""
    site = CONFIGURATION.read_text()
    site = site.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};").replace(
        "127.0.0.1:3000", f"127.0.0.1:{gateway_port}"
    )
    site = re.sub(r"\n *ssl_certificate\S* \S+;", "", site)
    site = site.replace("/var/log/nginx", str(directory))
    site = site.replace("/var/lib/meetingpool/recordings", f"{directory}/recordings")
    site = site.replace("/var/bigbluebutton/playback/presentation/2.3", f"{directory}/player")
    paths = "".join(f"{kind}_temp_path {directory}/nginx;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (
        f"user root; daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;"
        f"events {{}} http {{ {paths} types {{ text/html html; text/javascript js; }}\n{site}\n}}"
    )


async def until_it_answers(browser: httpx.AsyncClient, nginx: asyncio.subprocess.Process, errors: Path) -> None:
    async with asyncio.timeout(10):
        while nginx.returncode is None:
            try:
                await browser.get("/livez")
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
            else:
                return
    raise AssertionError(f"nginx ended: {errors.read_text()}")


@pytest.fixture
async def site(database_url: str, database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("The configuration for nginx is tested with nginx; on Debian: apt install nginx-light")
    storage_of(Settings(data_dir=tmp_path)).publish_dir.mkdir(parents=True)
    plant_files(tmp_path / "player", {"index.html": b"the player", "static/main.js": b"play()"})
    async with gateway_process(
        database_url, MEETINGPOOL_DATA_DIR=str(tmp_path), MEETINGPOOL_PLAYBACK_X_ACCEL="/static-resource"
    ) as gateway:
        port = free_port()
        (tmp_path / "nginx.conf").write_text(configuration(tmp_path, port, gateway.port))
        nginx = await asyncio.create_subprocess_exec(
            program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
                await until_it_answers(browser, nginx, tmp_path / "error.log")
                yield Site(browser, database, tmp_path, gateway)
        finally:
            if nginx.returncode is None:
                nginx.terminate()
            await nginx.wait()


async def test_nginx_sends_what_may_be_seen(site: Site) -> None:
    record_id = await site.plant()
    whole = await site.browser.get(f"/video/{record_id}/video-0.webm")
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-type"] == "video/webm"
    assert whole.headers["cache-control"] == "private, no-cache"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in whole.headers
    piece = await site.browser.get(f"/video/{record_id}/video-0.webm", headers={"range": "bytes=2-4"})
    assert (piece.status_code, piece.content) == (206, b"234")
    named = await site.browser.get(f"/video/{record_id}/Prüfung 1.txt")
    assert named.content == b"text"
    drawn = await site.browser.get(f"/video/{record_id}/notes.svg")
    assert drawn.headers["content-security-policy"].startswith("sandbox;")
    page = await site.browser.get(f"/video/{record_id}/")
    assert page.content == b"a page"
    assert f"/video/{record_id}/js/" in page.headers["content-security-policy"]


async def test_nobody_gets_round_the_gateway(site: Site) -> None:
    record_id = await site.plant(is_protected=True)
    for path in (
        f"/video/{record_id}/video-0.webm",
        f"/static-resource/video/{record_id}/video-0.webm",
        f"//static-resource/video/{record_id}/video-0.webm",
        f"/x/../static-resource/video/{record_id}/video-0.webm",
        f"/static-resource/../static-resource/video/{record_id}/video-0.webm",
    ):
        answer = await site.browser.get(path)
        assert answer.status_code == 404
        assert b"0123456789" not in answer.content
    async with site.database.transaction() as connection:
        links = PlaybackLinks(await callback_key(connection), SystemClock())
    await site.browser.get(f"/recording/{record_id}/video?token={links.token_for(playing(record_id, 'video'), 60)}")
    assert (await site.browser.get(f"/video/{record_id}/video-0.webm")).content == b"0123456789"


async def test_a_link_in_a_tree_is_not_followed(site: Site) -> None:
    record_id = await site.plant()
    (site.directory / "recordings/published/video" / record_id / "link.txt").symlink_to(CONFIGURATION)
    assert (await site.browser.get(f"/video/{record_id}/link.txt")).status_code in (403, 404)


async def test_what_is_in_addresses_is_not_logged_when_the_gateway_is_away(site: Site) -> None:
    await site.gateway.stop()
    for path in ("/recording/x/video?token=canary", "/bigbluebutton/api/join?password=canary&checksum=canary", "/?canary"):
        answer = await site.browser.get(path, headers={"referer": "http://pool/?canary"})
        assert answer.status_code == 502
    logs = list(site.directory.glob("*.log"))
    assert logs
    assert not any("canary" in log.read_text() for log in logs)


async def test_nginx_serves_the_player(site: Site) -> None:
    record_id = await site.plant()
    assert (await site.browser.get("/playback/presentation/2.3/static/main.js")).content == b"play()"
    assert (await site.browser.get(f"/playback/presentation/2.3/{record_id}")).content == b"the player"
