from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.access_log import AccessLog, shown_path
from meetingpool.clock import SystemClock
from tests.logs import Event


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", status_code=418)(scope, receive, send)


async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
    await Request(scope, receive).body()
    raise RuntimeError


async def ask(app: Any, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(AccessLog(app, SystemClock()), client=("203.0.113.7", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get(path, headers=headers)


async def test_a_request_is_logged_without_its_query(logged: list[Event]) -> None:
    await ask(answers, "/bigbluebutton/api/join?meetingID=room&checksum=1", **{"x-request-id": "proxy-1"})

    (event,) = logged
    assert event["seconds"] >= 0
    assert {name: event[name] for name in ("event", "method", "path", "status", "address", "request_id")} == {
        "event": "request",
        "method": "GET",
        "path": "/bigbluebutton/api/join",
        "status": 418,
        "address": "203.0.113.7",
        "request_id": "proxy-1",
    }


async def test_a_request_that_breaks_is_logged_without_a_status(logged: list[Event]) -> None:
    with pytest.raises(RuntimeError):
        await ask(breaks, "/livez")

    assert [(event["path"], event["status"]) for event in logged] == [("/livez", 0)]


@pytest.mark.parametrize(
    "path", ["/livez", "/t/a/bigbluebutton/api/hooks/create", "/presentation/183f0bf3a0982a127bdb8161e0c44eb696b3e75c-1/x.svg"]
)
def test_paths_of_ours_are_shown(path: str) -> None:
    assert shown_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "/a b", "/a\r\nb", "/\x1b[31m", "/\u2028", "/" + "a" * 129, "/a" * 13, '/"', "/<b>", "/a=b"]
)
def test_other_paths_are_not(path: str) -> None:
    assert shown_path(path) == "/..."
