"""Pages that change while somebody looks at them, and pages while the database is away."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url
from starlette.types import ASGIApp, Message

from gateway.dashboard.door import STREAMS_OF_A_TOKEN
from meetingpool.database.engine import plain_url
from tests.dashboard import Visitor, read_page, stranger, visitor
from tests.databases import execute, with_database
from tests.management import ManagedPool, managed_pool

PATIENCE = 15.0


@pytest.fixture
async def managed(database_url: str, tmp_path: Path) -> AsyncIterator[ManagedPool]:
    async with managed_pool(database_url, tmp_path) as managed:
        yield managed


class Stream:
    """The events of a page, as a browser would hear them."""

    def __init__(self, heard: "asyncio.Queue[Message]") -> None:
        self._heard = heard

    async def event(self) -> tuple[str, dict[str, str]]:
        """The next one: its name, and the parts of the page that it holds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                lines = (await self._heard.get()).get("body", b"").decode().splitlines()
                named = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
                if "data" in named:
                    return named.get("event", "message"), json.loads(named["data"])

    async def event_with(self, part: str) -> str:
        """That part of the page when it has changed."""
        while part not in (found := (await self.event())[1]):
            pass
        return found[part]

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while (await self._heard.get()).get("more_body", True):
                pass


@asynccontextmanager
async def stream(managed: ManagedPool, somebody: Visitor, address: str) -> AsyncIterator[tuple[int, Stream]]:
    """What is answered to who opens the stream of a page, and the stream."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    app: ASGIApp = managed.pool.application(managed.gateway)

    async def stay() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody leaves")

    async def answer() -> None:
        await app(_scope(somebody, address), stay, heard.put)

    answering = asyncio.create_task(answer())
    try:
        async with asyncio.timeout(PATIENCE):
            status = (await heard.get())["status"]
        yield status, Stream(heard)
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


def _scope(somebody: Visitor, address: str) -> dict[str, Any]:
    cookies = "; ".join(f"{name}={value}" for name, value in somebody.http.cookies.items())
    query = str(somebody.http.build_request("GET", "/", params={"at": address}).url.query, "ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/dashboard/events",
        "raw_path": b"/dashboard/events",
        "query_string": query.encode(),
        "headers": [(b"host", b"gateway"), (b"cookie", cookies.encode())],
        "server": ("gateway", 80),
        "client": ("192.0.2.1", 1234),
    }


async def test_a_stream_begins_with_all_and_then_tells_what_differs(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    async with stream(managed, admin, "/dashboard") as (status, events):
        assert status == 200
        _, parts = await events.event()
        assert {"figures", "concerns", "server-spare"} <= parts.keys()
        await admin.post("/servers/spare/cordon")
        _, changed = await events.event()
        assert "cordoned" in changed["server-spare"]
        assert not {name for name in changed if name.startswith("server-")} - {"server-spare"}


async def test_a_page_with_a_filter_is_followed_as_it_was_asked_for(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    async with stream(managed, admin, "/dashboard/meetings?tenant=a") as (_, events):
        _, parts = await events.event()
        assert read_page(f"<table>{parts['meetings']}</table>").xpath("//input/@value") == ["id-of-a/room"]
        await admin.post("/meetings/end", id="id-of-a/room")
        assert "ending" in await events.event_with("meetings") or "No meeting" in parts["meetings"]


async def test_a_page_whose_parts_are_others_begins_anew(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    async with stream(managed, admin, "/dashboard") as (_, events):
        await events.event()
        await admin.post("/servers/spare/remove", typed="spare")
        assert await events.event() == ("anew", {})
        await events.end()


async def test_whoever_is_signed_out_hears_nothing_more(managed: ManagedPool) -> None:
    operator, admin = await visitor(managed, "operator"), await visitor(managed)
    async with stream(managed, operator, "/dashboard/audit") as (_, events):
        await events.event()
        await admin.post("/tokens/revoke", id="operator")
        assert await events.event() == ("anew", {})
        await events.end()


async def test_streams_are_for_those_who_may_see_the_page(managed: ManagedPool) -> None:
    of_a = await visitor(managed, "a")
    for address in ("/dashboard", "/dashboard/alerts", "/dashboard/settings", "/nothing", "https://evil.example/dashboard"):
        async with stream(managed, of_a, address) as (status, _):
            assert (address, status) == (address, 204)


async def test_nobody_takes_all_streams(managed: ManagedPool) -> None:
    admin, auditor = await visitor(managed), await visitor(managed, "auditor")
    opened = [stream(managed, admin, "/dashboard/audit") for _ in range(STREAMS_OF_A_TOKEN)]
    for each in opened:
        assert (await each.__aenter__())[0] == 200
    async with stream(managed, admin, "/dashboard/audit") as (status, _):
        assert status == 503
    async with stream(managed, auditor, "/dashboard/audit") as (status, _):
        assert status == 200
    for each in opened:
        await each.__aexit__(None, None, None)
    async with stream(managed, admin, "/dashboard/audit") as (status, _):
        assert status == 200


async def test_streams_end_when_the_process_drains(managed: ManagedPool) -> None:
    admin = await visitor(managed)
    async with stream(managed, admin, "/dashboard") as (_, events):
        await events.event()
        managed.gateway.readiness.draining = True
        await events.end()


async def test_without_the_database_the_pool_is_shown_as_it_was_known(managed: ManagedPool, database_url: str) -> None:
    admin = await visitor(managed)
    await admin.see()
    csrf = await admin.csrf()
    async with away(database_url):
        answer = await admin.get("/meetings")
        assert answer.status_code == 503
        page = read_page(answer.text)
        assert "The database does not answer" in page.xpath("//p[@role='alert']")[0].text
        assert page.xpath("//tr[@id='server-spare']")
        assert not page.xpath("//body/@data-live")
        refused = await admin.http.post(
            "/dashboard/servers/spare/enable", data={"csrf": csrf}, headers={"sec-fetch-site": "same-origin"}
        )
        assert refused.status_code == 503
        assert (await stranger(managed).sign_in(managed.tokens["admin"])).status_code == 503
    assert (await admin.get("/meetings")).status_code == 200


@asynccontextmanager
async def away(database_url: str) -> AsyncIterator[None]:
    """The database lets nobody in meanwhile, and throws everybody out."""
    name, maintenance = make_url(database_url).database, with_database(database_url, "postgres")
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    connection = await asyncpg.connect(plain_url(maintenance))
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await connection.close()
    try:
        yield
    finally:
        await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
