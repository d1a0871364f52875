import asyncio
from typing import Any

import pytest

from meetingpool.logs import get_logger
from meetingpool.request_ids import begin_request, id_of, known_id, request_id
from tests.logs import Event


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "headers": list(headers)}


@pytest.mark.parametrize("given", ["a", "7f3c-11.x", "Root=1-67891233-abcdef012345678912345678", "A" * 128, "a:b/c+d=_"])
def test_an_id_that_comes_with_the_request_is_kept(given: str) -> None:
    assert id_of(scope((b"host", b"x"), (b"x-request-id", given.encode()))) == given


@pytest.mark.parametrize(
    "given", [b"", b"A" * 129, b"a b", b"a\r\nb", b"\x1b[31m", b"a\x00", "\u2028".encode(), b"<b>", b'a"b', b"-a", b"\xff"]
)
def test_an_id_of_another_form_is_replaced_by_one_that_is_made(given: bytes) -> None:
    request = scope((b"x-request-id", given))

    made = id_of(request)

    assert made.isalnum()
    assert len(made) == 16
    assert made.encode() != given
    assert id_of(request) == made


def test_a_request_has_no_id_until_somebody_asks() -> None:
    request = scope()
    assert known_id(request) is None
    assert known_id(request) is None

    assert id_of(request) == known_id(request)


async def test_each_request_logs_under_its_own_id_and_what_it_starts_under_the_same(logged: list[Event]) -> None:
    async def work(name: str) -> None:
        request = begin_request(scope((b"x-request-id", name.encode())))
        get_logger().info("began", name=name)
        await asyncio.create_task(go_on(name))
        request.end()
        get_logger().info("ended", name=name)

    async def go_on(name: str) -> None:
        await asyncio.sleep(0)
        get_logger().info("went_on", name=name)

    await asyncio.gather(work("first"), work("second"))

    for event in logged:
        assert event.get("request_id") == (None if event["event"] == "ended" else event["name"])
    assert len(logged) == 6


def test_outside_of_requests_there_is_no_id(logged: list[Event]) -> None:
    get_logger().info("alone")

    assert request_id() is None
    assert "request_id" not in logged[0]
