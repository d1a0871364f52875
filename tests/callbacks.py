"""A pool whose servers reach its gateway, a front end that can be called, and deliverers in this process."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import httpx
from msgspec.structs import replace

from gateway.app import create_app
from gateway.state import Readiness
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.database.notifications import notify
from meetingpool.database.outbox import NOTIFICATION, Kept, announce, list_kept
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind, callback_path
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.operations.deliver_callbacks import Deliverer
from meetingpool.outward.client import Outward
from simulator.listener import Listener
from simulator.server import SimulatedServer
from tests.archives import deliver, recording_archive
from tests.integration.simulator.receiving import PATIENCE, Receiver
from tests.keys import KEYRING
from tests.library import made_library
from tests.pool import FrontEnd, RunningPool, running_pool

LOOPBACK = ("127.0.0.0/8",)
# What a create asks for.
KINDS = (CallbackKind.MEETING_ENDED, CallbackKind.END_CALLBACK, CallbackKind.RECORDING_READY, CallbackKind.ANALYTICS)
RECORDED = {"record": "true", "meetingKeepEvents": "true"}


@dataclass
class CallbackPool:
    """`pool` with one gateway, which listens at `url`; `receiver` is the front end when it is called.

    Recordings are in `directory`.
    """

    pool: RunningPool
    front_end: FrontEnd
    receiver: Receiver
    url: str
    directory: Path

    @property
    def servers(self) -> list[SimulatedServer]:
        return self.pool.fleet.servers

    def addresses(self, *, ended: str = "/ended") -> dict[str, str]:
        """Parameters of a create that ask for every kind of callback."""
        return RECORDED | {
            "meetingEndedURL": f"{self.receiver.origin}{ended}",
            "meta_endCallbackUrl": f"{self.receiver.origin}/end?token=t",
            "meta_bbb-recording-ready-url": f"{self.receiver.origin}/ready",
            "meta_analytics-callback-url": f"{self.receiver.origin}/analytics",
        }

    def given_path(self, kind: CallbackKind, call: int = -1) -> str:
        """The path that a server was given for one kind by its last create, or an earlier one."""
        creates = [received for server in self.servers for received in server.requests if received.call == "create"]
        names = {
            CallbackKind.MEETING_ENDED: "meetingEndedURL",
            CallbackKind.END_CALLBACK: "meta_endCallbackUrl",
            CallbackKind.RECORDING_READY: "meta_bbb-recording-ready-url",
            CallbackKind.ANALYTICS: "meta_analytics-callback-url",
        }
        return urlsplit(creates[call].parameters[names[kind]]).path

    def genuine_path(self, generation: int, kind: CallbackKind) -> str:
        return callback_path(self.front_end.gateway.placer.callback_key, generation, kind, 7)

    async def call(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """A call of the gateway, by whomever."""
        response = await self.front_end.http.request(method, f"http://gateway{path}", **options)
        assert response.content == b""
        return response

    async def kept(self) -> list[Kept]:
        async with self.pool.database.transaction() as connection:
            return await list_kept(connection, None, None)

    async def until_states(self, *states: str) -> None:
        """Waits until the callbacks that are kept are in these states, in their order."""
        async with asyncio.timeout(PATIENCE):
            while [kept.state for kept in await self.kept()] != list(states):
                await asyncio.sleep(0.02)

    async def last_error(self) -> str:
        """Waits until an attempt of the first callback has failed; why."""
        async with asyncio.timeout(PATIENCE):
            while not (error := (await self.kept())[0].last_error):
                await asyncio.sleep(0.02)
        return error

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.pool.database.transaction() as connection:
            await connection.execute(statement, *arguments)

    async def bring_recording(self, internal_id: str, *formats: str) -> None:
        """Imports the recording of a meeting that is over, as its server would describe it, in these formats."""
        [meeting] = [past for server in self.servers for past in server.past_meetings.values() if past.internal_id == internal_id]
        metadata = {name: escape(value) for name, value in meeting.settings.metadata.items()}
        library = await made_library(self.pool.database, self.directory, lambda given: replace(given, **self._tenancy))
        content = recording_archive(internal_id, formats or ("presentation",), meeting_id=meeting.meeting_id, metadata=metadata)
        deliver(library.spool.directory, internal_id, content)
        [done] = await library.take_in()
        assert done.state is ImportState.DONE, done.detail

    @property
    def _tenancy(self) -> dict[str, bool]:
        return {"multitenancy_enabled": self.pool.settings.multitenancy_enabled}

    async def make_due(self) -> None:
        """Ends all pauses and leases."""
        async with self.pool.database.transaction() as connection:
            await connection.execute("UPDATE outbox SET next_attempt_at = now() WHERE state = 'pending'")
            await notify(connection, NOTIFICATION, [0])

    async def announce(self, *urls: str, kind: CallbackKind = CallbackKind.MEETING_ENDED) -> None:
        """Keeps a callback to each of the URLs, as if a server had announced something."""
        async with self.pool.database.transaction() as connection:
            for number, url in enumerate(urls):
                await announce(connection, an_announcement(url, kind, number))


def an_announcement(url: str, kind: CallbackKind = CallbackKind.MEETING_ENDED, number: int = 0) -> Announcement:
    payloads: dict[CallbackKind, dict[str, Any]] = {
        CallbackKind.END_CALLBACK: {"has_recording_marks": True},
        CallbackKind.RECORDING_READY: {"record_id": "record"},
        CallbackKind.ANALYTICS: {"document": "{}"},
    }
    return Announcement(
        kind=kind, tenant=DEFAULT_TENANT, meeting_id="room", url=url, payload=payloads.get(kind, {}), subject=(url, str(number))
    )


class SlowFrontEnd:
    """A front end that answers when `answers` is set. `came` counts the calls."""

    def __init__(self) -> None:
        self.origin = ""
        self.came = 0
        self.answers = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, port: int = 0) -> AsyncIterator["SlowFrontEnd"]:
        front_end = cls()
        server = await asyncio.start_server(front_end._serve, "127.0.0.1", port)
        front_end.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield front_end
        finally:
            server.close()
            front_end.answers.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.came += 1
            await self.answers.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()


@asynccontextmanager
async def callback_pool(database_url: str, *, servers: int = 1, **settings: Any) -> AsyncIterator[CallbackPool]:
    listener = Listener("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.port}"
    settings = {"public_url": url, "callback_allow": LOOPBACK, **settings}
    async with running_pool(database_url, servers=servers, **settings) as pool, Receiver.running() as receiver:
        front_end = await pool.front_end()
        app = create_app(pool.settings, Readiness(), pool.clock)

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {"gateway": front_end.gateway}}, receive, send)

        await listener.open(with_state)
        try:
            with TemporaryDirectory() as directory:
                yield CallbackPool(pool, front_end, receiver, url, Path(directory))
        finally:
            await listener.close()


@asynccontextmanager
async def delivering(
    pool: RunningPool, *, outward: Outward | None = None, secrets: tuple[str, ...] | None = None
) -> AsyncIterator[Database]:
    """One more process that delivers. Yields its database."""
    stop = asyncio.Event()
    database = Database(pool.settings.database_url or "", name="callbacks", pool_size=3, keyring=KEYRING)
    async with outward or Outward(allowed=LOOPBACK) as client:
        known = pool.settings.secrets if secrets is None else secrets
        delivery = asyncio.create_task(Deliverer(database, client, known, pool.clock, random.Random(1)).run(stop))
        try:
            yield database
        finally:
            stop.set()
            await delivery
            await database.close()
