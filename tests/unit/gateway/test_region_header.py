from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway.region_header import RegionHeader, said_by_proxy

PROXY = ("192.0.2.1", 50_000)


async def said(client: tuple[str, int] | None, *headers: tuple[bytes, bytes], kind: str = "http") -> str | None:
    """What the application behind hears."""
    heard: list[str | None] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        heard.append(said_by_proxy(scope))

    async def nothing(*_: Any) -> Any:
        raise AssertionError("it reads and writes nothing")

    await RegionHeader(application, "X-Region", {PROXY[0]})(
        {"type": kind, "client": client, "headers": headers}, nothing, nothing
    )
    (value,) = heard
    return value


async def test_last_of_several_headers_counts() -> None:
    assert await said(PROXY, (b"x-region", b"eu"), (b"x-other", b"asia"), (b"x-region", b" us ")) == "us"


async def test_bytes_that_are_no_text_break_nothing() -> None:
    assert await said(PROXY, (b"x-region", b"\xff\xfe")) == "\xff\xfe"


@pytest.mark.parametrize("client", [("192.0.2.2", 50_000), ("", 0), None])
async def test_others_are_not_believed(client: tuple[str, int] | None) -> None:
    assert await said(client, (b"x-region", b"eu")) is None


async def test_what_is_no_request_passes() -> None:
    assert await said(None, kind="lifespan") is None
