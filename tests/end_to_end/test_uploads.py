"""A BBB host uploads a recording to `meetingpool up`, by HTTPS, over connections that break; then it is in the library."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.bbb_hosts import RECORD_ID, BbbHost, new_bbb_host
from tests.end_to_end.commands import command, free_port, started, until
from tests.unit.meetingpool.receivers import Authority, new_authority

MEGABYTE = 1024 * 1024
# More than two pieces of what the script sends at once.
VIDEO_BYTES = 40 * MEGABYTE
# Bytes after which the first connections break: within the first piece, and within one that follows another.
BREAKS = (5 * MEGABYTE, 20 * MEGABYTE)
# What of a connection that broke was under way, and what requests need beside what they bring.
LOST_BY_A_BREAK = MEGABYTE


class BrittleProxy:
    """Takes TLS away, as proxies before gateways do. Its first connections break, each after so many bytes of the client."""

    def __init__(self, port: int, breaks: tuple[int, ...]) -> None:
        self._port = port
        self._breaks = list(breaks)
        self.passed = 0

    @asynccontextmanager
    async def listening(self, tls: SSLContext) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        async with server:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection("127.0.0.1", self._port)
        answering = asyncio.create_task(self._answer(upstream, writer))
        left = self._breaks.pop(0) if self._breaks else None
        with suppress(OSError):
            while (left is None or left > 0) and (data := await reader.read(64 * 1024)):
                to_upstream.write(data)
                await to_upstream.drain()
                self.passed += len(data)
                left = left if left is None else left - len(data)
        writer.transport.abort()
        to_upstream.close()
        await answering

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await upstream.read(64 * 1024):
                writer.write(data)
                await writer.drain()


@pytest.fixture
def host(tmp_path: Path) -> BbbHost:
    if not shutil.which("ruby"):
        pytest.skip("The scripts for BBB hosts need ruby; on Debian: apt install ruby")
    host = new_bbb_host(tmp_path / "bbb")
    host.publish("presentation")
    host.publish("video")
    (host.root / "published" / "video" / RECORD_ID / "video-1.webm").write_bytes(os.urandom(VIDEO_BYTES))
    return host


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the host trusts."""
    authority = new_authority(tmp_path)
    (tmp_path / "authority.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a Meetingpool that runs, with a server."""
    environment = {
        "MEETINGPOOL_DATA_DIR": str(tmp_path / "pool"),
        "MEETINGPOOL_RECORDING_SETTLE_TIME": "0",
        "RECORDING_IMPORT_POLL_INTERVAL": "1",
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "2",
    }
    with started("up", environment=environment) as up:
        up.wait_for_line("The secret for front ends", 30)
        until(lambda: is_ready(environment), 30)
        address = "https://bbb1.example/bigbluebutton/api"
        command("servers", "add", address, "--secret", "x", "--id", "bbb1", environment=environment)
        # It holds no meetings any more, and still has recordings.
        command("servers", "cordon", "bbb1", environment=environment)
        yield environment


def is_ready(environment: dict[str, str]) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{environment['PORT']}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def shown_settings(environment: dict[str, str]) -> dict[str, str]:
    """What an administrator copies into the settings of the server."""
    lines = command("servers", "upload-token", "bbb1", environment=environment).splitlines()
    return dict(line.split(": ", 1) for line in lines)


async def test_upload_over_connections_that_break_is_in_the_library(
    host: BbbHost, authority: Authority, pool: dict[str, str]
) -> None:
    settings = shown_settings(pool)
    proxy = BrittleProxy(int(pool["PORT"]), BREAKS)
    async with proxy.listening(authority.server("127.0.0.1")) as origin:
        path = httpx.URL(settings["upload_url"]).path
        host.configure(spool_dir=None, upload_url=f"{origin}{path}", upload_token=settings["upload_token"])
        assert await asyncio.to_thread(host.post_publish, "-m", RECORD_ID, "-f", "video") == 0

    assert host.sender_file().exists()
    log = host.log()
    assert log.count("trying again") >= len(BREAKS)
    assert settings["upload_token"] not in log
    assert proxy.passed < VIDEO_BYTES + (len(BREAKS) + 1) * LOST_BY_A_BREAK
    listed = await asyncio.to_thread(until, lambda: imported(pool), 30)
    assert [(each["record_id"], sorted(each["formats"])) for each in listed] == [(RECORD_ID, ["presentation", "video"])]


def imported(environment: dict[str, str]) -> list[dict[str, Any]]:
    recordings = json.loads(command("recordings", "list", "--format", "json", environment=environment))
    return [each for each in recordings if each["settled"]]
