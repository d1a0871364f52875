"""The stream of events: what is told of to whom, when it begins anew, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from gateway.dashboard.door import STREAMS_OF_A_TOKEN
from gateway.management_api import events
from meetingpool.operations.api_tokens import token_of
from tests.management import ManagedPool, refused

WAIT = 20.0


class Stream:
    """A client that reads events as they come."""

    def __init__(self, incoming: "asyncio.Queue[Message]", task: "asyncio.Task[None]") -> None:
        self._incoming = incoming
        self._task = task
        self._text = b""

    async def start(self) -> tuple[int, dict[bytes, bytes]]:
        message = await asyncio.wait_for(self._incoming.get(), WAIT)
        return message["status"], dict(message["headers"])

    async def block(self) -> str:
        """What comes next, up to an empty line."""
        while b"\n\n" not in self._text:
            message = await asyncio.wait_for(self._incoming.get(), WAIT)
            assert message.get("more_body"), "the stream ended"
            self._text += message["body"]
        block, _, self._text = self._text.partition(b"\n\n")
        return block.decode()

    async def event(self, name: str) -> Any:
        """The data of the next event of this name; what comes before it is passed over."""
        while True:
            lines = dict(line.split(": ", 1) for line in (await self.block()).splitlines())
            if lines.get("event") == name:
                return json.loads(lines["data"])

    async def end(self) -> None:
        """Returns when the stream ends."""
        await asyncio.wait_for(self._task, WAIT)


@asynccontextmanager
async def stream(managed: ManagedPool, caller: str) -> AsyncIterator[Stream]:
    sent: asyncio.Queue[Message] = asyncio.Queue()
    left = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "headers": [(b"host", b"gateway"), (b"authorization", f"Bearer {managed.tokens[caller]}".encode())],
        "server": ("gateway", 80),
        "client": ("192.0.2.1", 1234),
    }

    async def serve() -> None:
        await managed.pool.application(managed.gateway)(scope, receive, sent.put)

    task = asyncio.create_task(serve())
    try:
        yield Stream(sent, task)
    finally:
        left.set()
        await asyncio.wait_for(task, WAIT)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAUSE", 0.02)


async def test_it_begins_with_the_state_of_all(managed: ManagedPool) -> None:
    async with stream(managed, "auditor") as following:
        status, headers = await following.start()
        assert (status, headers[b"content-type"]) == (200, b"text/event-stream; charset=utf-8")
        assert headers[b"cache-control"] == b"no-store"
        assert await following.block() == "retry: 3000"
        state = await following.event("state")
    assert sorted(server["id"] for server in state["servers"]) == sorted(await managed.pool.servers())
    assert set(state["servers"][0]) == {"id", "admin_state", "health", "load"}
    assert state["meetings"] == 2


async def test_servers_that_change_come_and_go_are_told_of(managed: ManagedPool) -> None:
    async with stream(managed, "auditor") as following:
        await following.start()
        await following.event("state")
        await managed.done("POST", "/servers/spare/cordon")
        changed = await following.event("servers")
        assert [(each["id"], each["admin_state"]) for each in changed["servers"]] == [("spare", "cordoned")]
        await managed.done("DELETE", "/servers/spare")
        assert (await following.event("servers"))["removed"] == ["spare"]
        await managed.done("POST", "/servers", json={"url": "http://127.0.0.1:2", "secret": "s", "id": "new"})
        assert [each["id"] for each in (await following.event("servers"))["servers"]] == ["new"]


async def test_what_was_done_is_told_to_who_may_read_the_audit(managed: ManagedPool) -> None:
    async with stream(managed, "operator") as following:
        await following.start()
        await following.event("state")
        await managed.done("PATCH", "/tenants/b", json={"max_users": 3})
        assert await following.event("audit") == {"actions": ["tenants.set"]}


async def test_meetings_are_counted_as_they_come_and_go(managed: ManagedPool) -> None:
    async with stream(managed, "auditor") as following:
        await following.start()
        await following.event("state")
        server = (await managed.done("GET", "/meetings?tenant=a"))["items"][0]["server"]
        await managed.done("POST", f"/servers/{server}/panic")
        told = await following.event("meetings")
        # That they were placed may be told after the stream began.
        while not told["gone"]:
            told = await following.event("meetings")
    assert (told["gone"], told["meetings"]) == (1, 1)


async def test_a_tenants_administrator_is_told_of_its_meetings_only(managed: ManagedPool) -> None:
    servers = {each["tenant"]: each["server"] for each in (await managed.done("GET", "/meetings"))["items"]}
    async with stream(managed, "a") as following:
        await following.start()
        assert await following.event("state") == {"servers": [], "meetings": 1}
        await managed.done("POST", "/servers/spare/enable")
        await managed.done("POST", f"/servers/{servers['b']}/panic")
        await managed.done("POST", f"/servers/{servers['a']}/panic")
        told = {"gone": 0}
        # Nothing else comes before it; that the meeting was placed may be told after the stream began.
        while not told["gone"]:
            block = await following.block()
            assert block.splitlines()[0] == "event: meetings"
            told = json.loads(block.splitlines()[1].removeprefix("data: "))
    assert (told["gone"], told["meetings"]) == (1, 0)


async def test_whoever_missed_something_gets_the_state_anew(managed: ManagedPool) -> None:
    async with stream(managed, "auditor") as following:
        await following.start()
        await following.event("state")
        for _ in range(1001):
            managed.gateway.view.broadcast.tell({"kind": "load", "items": []})
        assert (await following.event("state"))["meetings"] == 2


async def test_while_nothing_is_new_it_says_that_it_is_there(managed: ManagedPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with stream(managed, "a") as following:
        await following.start()
        await following.event("state")
        assert await following.block() == ": still here"


async def test_it_ends_when_the_process_drains(managed: ManagedPool) -> None:
    async with stream(managed, "auditor") as following:
        await following.start()
        await following.event("state")
        managed.gateway.readiness.draining = True
        await following.end()


async def test_it_ends_when_the_token_counts_no_more(managed: ManagedPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ASK_AGAIN_EVERY", 0.05)
    async with stream(managed, "auditor") as following:
        await following.start()
        await following.event("state")
        await managed.done("DELETE", "/tokens/auditor")
        await following.end()


async def test_who_leaves_makes_room_for_another(managed: ManagedPool) -> None:
    for _ in range(STREAMS_OF_A_TOKEN + 1):
        async with stream(managed, "auditor") as following:
            assert (await following.start())[0] == 200


async def test_a_token_has_so_many_streams(managed: ManagedPool) -> None:
    token = await token_of(managed.pool.database, managed.tokens["auditor"])
    assert token is not None
    for _ in range(STREAMS_OF_A_TOKEN):
        assert managed.gateway.door.open_stream(token)
    assert await refused(managed, "GET", "/events", "auditor") == (503, "too_many_streams")
