"""So many requests are worked on at once; whoever comes beyond that is told so at once, and slow clients take nobody's place."""

import asyncio
from typing import Any

import httpx
from lxml import etree
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.limits import BoundedRequests


class Working:
    """An application whose requests take until they are told to end."""

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/upload":
            await Request(scope, receive).body()
        self.begun += 1
        if scope["path"] == "/work":
            await self.end.wait()
        await PlainTextResponse("done")(scope, receive, send)


def client_of(app: BoundedRequests) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


async def test_requests_beyond_the_limit_are_refused_at_once_and_welcome_again_later() -> None:
    working = Working()
    async with client_of(BoundedRequests(working, 2)) as client, asyncio.TaskGroup() as tasks:
        under_way = [tasks.create_task(client.get("/work")) for _ in range(2)]
        while working.begun < 2:
            await asyncio.sleep(0)
        refused = await client.get("/work")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        document = etree.fromstring(refused.content)
        assert (document.findtext("returncode"), document.findtext("messageKey")) == ("FAILED", "internalError")
        working.end.set()
        assert [(await task).status_code for task in under_way] == [200, 200]
        assert (await client.get("/work")).status_code == 200


async def test_health_is_always_answered() -> None:
    working = Working()
    async with client_of(BoundedRequests(working, 1)) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(client.get("/work"))
        while not working.begun:
            await asyncio.sleep(0)
        answers = [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/health_check", "/metrics", "/other")]
        assert answers == [200, 200, 200, 200, 503]
        working.end.set()


async def test_a_client_that_is_still_sending_takes_nobodys_place() -> None:
    rest = asyncio.Event()

    async def slow_body() -> Any:
        yield b"a"
        await rest.wait()
        yield b"b"

    working = Working()
    bounded = BoundedRequests(working, 1)
    async with client_of(bounded) as client, asyncio.TaskGroup() as tasks:
        slow = [tasks.create_task(client.post("/upload", content=slow_body())) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await client.get("/other")).status_code == 200
        rest.set()
        assert [(await task).status_code for task in slow] == [200] * 5


async def test_a_request_that_fails_gives_its_place_back() -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise OSError

    transport = httpx.ASGITransport(BoundedRequests(failing, 1), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert [(await client.get("/")).status_code for _ in range(3)] == [500] * 3


async def test_a_client_that_leaves_while_sending_is_no_error() -> None:
    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async def answer(_message: Message) -> None:
        raise AssertionError("nobody is there")

    bounded = BoundedRequests(Working(), 1)
    for _ in range(2):
        await bounded({"type": "http", "path": "/upload", "headers": []}, leave, answer)
