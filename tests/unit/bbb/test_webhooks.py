"""The posts of bbb-webhooks, and a server's own list of its hooks."""

import asyncio
import json
from urllib.parse import parse_qsl, urlencode

import pytest

from meetingpool.bbb.callbacks import CallbackRefused, Reason
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import SecretRefused, ServerFailure
from meetingpool.bbb.webhooks import NoWebhooks, ServerHook, Webhooks, hook_post, read_hook_post
from meetingpool.domain.hooks import HookForm
from meetingpool.domain.servers import Server, ServerId
from tests.unit.bbb.web_servers import listening, read_head, replying

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"


def response(document: str) -> bytes:
    body = f"<response>{document}</response>".encode()
    return OK % (len(body), body)


def webhooks_at(client: Client, endpoint: str) -> Webhooks:
    return Webhooks(client, Server(id=ServerId("s"), url=endpoint, secret="secret"), deadline=5.0)


def test_a_post_is_read_with_all_its_events_and_its_time() -> None:
    body = urlencode({"domain": "x", "event": '[{"a": "ü"}, {}, 5]', "timestamp": "1532718316938"}).encode()
    post = read_hook_post(body)
    assert (post.events, post.timestamp) == (({"a": "ü"}, {}, 5), "1532718316938")


def test_one_event_without_a_list_around_it_is_read_too() -> None:
    assert read_hook_post(urlencode({"event": '{"a": 1}', "timestamp": 1}).encode()).events == ({"a": 1},)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"event": "[]"},
        {"timestamp": "1"},
        {"event": "[]", "timestamp": "-1"},
        {"event": "[]", "timestamp": "1.5"},
        {"event": "[]", "timestamp": "١"},
        {"event": "[]", "timestamp": "1" * 33},
        {"event": "", "timestamp": "1"},
        {"event": "5", "timestamp": "1"},
        {"event": "[", "timestamp": "1"},
        {"event": "[1e999]", "timestamp": "1"},
        {"event": '[{"a": 1, "a": 2}]', "timestamp": "1"},
        {"event": "[" * 100 + "]" * 100, "timestamp": "1"},
    ],
)
def test_what_is_no_such_post_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(CallbackRefused) as refused:
        read_hook_post(urlencode(fields).encode())
    assert refused.value.reason is Reason.UNREADABLE


def test_a_post_to_a_front_end_has_its_fields_in_the_order_of_bbb_webhooks() -> None:
    body = hook_post("pool.example", '{"a":"ü & ="}', "7")
    assert parse_qsl(body.decode()) == [("domain", "pool.example"), ("event", '[{"a":"ü & ="}]'), ("timestamp", "7")]
    assert json.loads(dict(parse_qsl(body.decode()))["event"]) == [{"a": "ü & ="}]


async def test_a_list_of_hooks_is_read_as_servers_write_it() -> None:
    listed = (
        "<returncode>SUCCESS</returncode><hooks>"
        "<hook><hookID>1</hookID><callbackURL><![CDATA[https://x/?a=1&b=2]]></callbackURL>"
        "<permanentHook>false</permanentHook><rawData>false</rawData></hook>"
        "<hook><hookID>2</hookID><callbackURL><![CDATA[https://y/]]></callbackURL><meetingID><![CDATA[m]]></meetingID>"
        "<permanentHook>true</permanentHook><rawData>true</rawData></hook></hooks>"
    )
    async with Client() as client, replying(response(listed)) as endpoint:
        assert await webhooks_at(client, endpoint).listed() == [
            ServerHook(id="1", callback_url="https://x/?a=1&b=2", form=HookForm.PROCESSED, is_limited=False),
            ServerHook(id="2", callback_url="https://y/", form=HookForm.RAW, is_limited=True),
        ]


async def test_a_server_that_knows_the_oldest_checksum_only_is_understood() -> None:
    lengths = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await read_head(reader)).decode()
        checksum = head.partition("checksum=")[2].partition(" ")[0]
        lengths.append(len(checksum))
        refusal = "<returncode>FAILED</returncode><messageKey>checksumError</messageKey>"
        writer.write(response("<returncode>SUCCESS</returncode><hooks/>" if len(checksum) == 40 else refusal))
        await writer.drain()

    async with Client() as client, listening(serve) as (endpoint, _):
        webhooks = webhooks_at(client, endpoint)
        assert await webhooks.listed() == []
        await webhooks.create("https://x/", HookForm.PROCESSED)
    # It is not asked again what it did not understand.
    assert lengths == [64, 40, 40]


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NoWebhooks),
        (response("<returncode>FAILED</returncode><messageKey>unsupportedRequest</messageKey>"), NoWebhooks),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", ServerFailure),
        (response("<returncode>FAILED</returncode><messageKey>listHookError</messageKey>"), ServerFailure),
        (OK % (2, b"hi"), ServerFailure),
    ],
)
async def test_a_server_that_fails_is_told_from_one_without_webhooks(reply: bytes, failure: type[Exception]) -> None:
    async with Client() as client, replying(reply) as endpoint:
        with pytest.raises(failure) as failed:
            await webhooks_at(client, endpoint).listed()
    assert isinstance(failed.value, NoWebhooks) is (failure is NoWebhooks)
    assert "secret" not in str(failed.value)


async def test_a_secret_that_is_wrong_however_it_is_used_is_told() -> None:
    refusal = response("<returncode>FAILED</returncode><messageKey>checksumError</messageKey>")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(refusal)
        await writer.drain()

    async with Client() as client, listening(serve) as (endpoint, _):
        with pytest.raises(SecretRefused):
            await webhooks_at(client, endpoint).listed()
