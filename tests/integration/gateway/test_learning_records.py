"""Learning records: what a server is told so that it can send them, and that no meeting ever fails for want of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.learning_records import MARGIN, PAUSE, LearningRecords
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.outward.client import Outward
from tests.integration.gateway.test_dial_in import SettableClock
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.logs import captured_logs
from tests.pool import RunningPool, running_pool, succeeded
from tests.unit.bbb.test_lrs import read_payload

PAYLOAD = "meta_secret-lrs-payload"
BY_PASSWORD = LrsAccess(endpoint="https://lrs.example/xapi", username="me", password="pass-canary")
PATIENCE = 5.0


class Issuer:
    """Gives tokens out as Keycloak does, numbered; or answers `reply`, if there is one. Replies wait while it is held."""

    def __init__(self) -> None:
        self.url = ""
        self.lifetime = 300
        self.reply: tuple[str, bytes] | None = None
        self.forms: list[dict[str, str]] = []
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Issuer"]:
        issuer = cls()
        server = await asyncio.start_server(issuer._serve, "127.0.0.1", 0)
        issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token?realm=query-canary"
        try:
            yield issuer
        finally:
            issuer.free.set()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
        assert head.startswith("POST /token?realm=query-canary HTTP/1.1\r\n")
        assert lines["content-type"] == "application/x-www-form-urlencoded"
        self.forms.append(dict(parse_qsl((await reader.readexactly(int(lines["content-length"]))).decode())))
        document = {"access_token": f"token-{len(self.forms)}", "expires_in": self.lifetime}
        status, body = self.reply or ("200 OK", json.dumps(document).encode())
        self.asked.set()
        await self.free.wait()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer.running() as issuer:
        yield issuer


def by_token(issuer: Issuer) -> LrsAccess:
    return LrsAccess(
        endpoint="https://lrs.example/xapi",
        token_url=issuer.url,
        client_id="bbb",
        client_secret="client canary",
        token_username="robot",
        token_password="kc&canary",
    )


def tenant_with(lrs: LrsAccess | None) -> Tenant:
    return Tenant(id="id-of-a", name="a", secrets=("secret of a",), lrs=lrs)


@asynccontextmanager
async def pool_of(database_url: str, lrs: LrsAccess | None, **settings: Any) -> AsyncIterator[RunningPool]:
    """A pool with the tenant a, whose learning records go where `lrs` says."""
    async with running_pool(database_url, multitenancy_enabled=True, **settings) as pool:
        async with pool.database.transaction() as connection:
            await insert_tenant(connection, tenant_with(lrs))
        yield pool


async def front_end_of(pool: RunningPool) -> TenantFrontEnd:
    return TenantFrontEnd(await pool.front_end(), "a")


def told(pool: RunningPool) -> list[Any]:
    """What the servers were told of learning records, in creates: each by a payload that only it can read."""
    creates = [
        (request.parameters.get(PAYLOAD), server.secret)
        for server in pool.fleet.servers
        for request in server.requests
        if request.call == "create"
    ]
    return [payload and json.loads(read_payload(payload, secret)) for payload, secret in creates]


async def test_a_server_is_told_the_password(database_url: str) -> None:
    async with pool_of(database_url, BY_PASSWORD) as pool:
        assert succeeded(await (await front_end_of(pool)).create("room"))
        wanted = {"lrs_endpoint": "https://lrs.example/xapi", "lrs_username": "me", "lrs_password": "pass-canary"}
        assert told(pool) == [wanted]


async def test_a_tenant_without_learning_records_has_no_payload(database_url: str) -> None:
    async with pool_of(database_url, None) as pool:
        assert succeeded(await (await front_end_of(pool)).create("room"))
        assert told(pool) == [None]


async def test_a_server_is_told_a_token_that_is_asked_for_as_scalelite_does(database_url: str, issuer: Issuer) -> None:
    async with pool_of(database_url, by_token(issuer), servers=1) as pool:
        front_end = await front_end_of(pool)
        for number in range(3):
            assert succeeded(await front_end.create(f"room-{number}"))
        assert told(pool) == [{"lrs_endpoint": "https://lrs.example/xapi", "lrs_token": "token-1"}] * 3
        assert issuer.forms == [
            {
                "client_id": "bbb",
                "client_secret": "client canary",
                "username": "robot",
                "password": "kc&canary",
                "grant_type": "password",
            }
        ]


async def test_nothing_is_reserved_or_held_while_a_token_is_waited_for(database_url: str, issuer: Issuer) -> None:
    async with pool_of(database_url, by_token(issuer)) as pool:
        front_end = await front_end_of(pool)
        issuer.free.clear()
        creating = asyncio.create_task(front_end.create("room"))
        await asyncio.wait_for(issuer.asked.wait(), PATIENCE)

        assert front_end.gateway.database.checked_out == 0
        assert not front_end.gateway.view.pool.meetings
        assert {server.load for server in (await pool.servers()).values()} == {0.0}

        issuer.free.set()
        assert succeeded(await creating)
        assert told(pool) == [{"lrs_endpoint": "https://lrs.example/xapi", "lrs_token": "token-1"}]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("401 Unauthorized", b'{"error": "reply-canary"}', "the token URL answers with status 401"),
        ("302 Found", b"", "the token URL answers with status 302"),
        ("201 Created", b'{"access_token": "reply-canary"}', "the token URL answers with status 201"),
        ("200 OK", b"<html>reply-canary</html>", "the reply of the token URL is not JSON"),
        ("200 OK", b"\xff\xfe", "the reply of the token URL is not JSON"),
        ("200 OK", b"[" * 30_000, "the reply of the token URL is not JSON"),
        ("200 OK", b'["access_token"]', "the reply of the token URL has no access_token"),
        ("200 OK", b'{"access_token": ""}', "the reply of the token URL has no access_token"),
        ("200 OK", b'{"access_token": 5}', "the reply of the token URL has no access_token"),
    ],
)
async def test_a_meeting_begins_without_a_token_too(
    database_url: str, issuer: Issuer, status: str, body: bytes, reason: str
) -> None:
    issuer.reply = (status, body)
    async with pool_of(database_url, by_token(issuer)) as pool:
        front_end = await front_end_of(pool)
        with captured_logs() as logs:
            assert succeeded(await front_end.create("room"))
        assert told(pool) == [None]
        assert [(log["tenant"], log["reason"]) for log in logs if log["event"] == "lrs_token_failed"] == [("a", reason)]
        assert "canary" not in repr(logs)


async def test_an_issuer_that_is_not_there_keeps_nobody_from_meeting(database_url: str) -> None:
    async with Issuer.running() as issuer:
        nowhere = by_token(issuer)
    async with pool_of(database_url, nowhere) as pool:
        front_end = await front_end_of(pool)
        with captured_logs() as logs:
            assert succeeded(await front_end.create("room"))
        assert told(pool) == [None]
        assert [log["reason"] for log in logs if log["event"] == "lrs_token_failed"] == ["no connection: Connection refused"]


@asynccontextmanager
async def learning_records(clock: SettableClock, patience: float = PATIENCE) -> AsyncIterator[LearningRecords]:
    async with Outward(total_timeout=patience) as outward:
        yield LearningRecords(outward, clock)


async def token_of(records: LearningRecords, tenant: Tenant) -> str | None:
    access = await records.access_of(tenant)
    return json.loads(access)["lrs_token"] if access else None


async def test_an_issuer_that_does_not_answer_is_waited_for_no_longer_than_allowed(issuer: Issuer) -> None:
    issuer.free.clear()
    async with learning_records(SettableClock(), patience=0.2) as records:
        with captured_logs() as logs:
            assert await token_of(records, tenant_with(by_token(issuer))) is None
    assert [log["reason"] for log in logs] == ["no complete reply within 0.2 s"]


@pytest.mark.parametrize(
    ("lifetime", "kept_for"),
    [(300, 300 - MARGIN), (100, 50), (10**400, 24 * 3600 - MARGIN)],
)
async def test_a_token_serves_until_shortly_before_its_end(issuer: Issuer, lifetime: int, kept_for: float) -> None:
    issuer.lifetime = lifetime
    clock = SettableClock()
    async with learning_records(clock) as records:
        tenant = tenant_with(by_token(issuer))
        assert await token_of(records, tenant) == "token-1"
        clock.ahead = kept_for - 5
        assert await token_of(records, tenant) == "token-1"
        clock.ahead = kept_for + 5
        assert await token_of(records, tenant) == "token-2"


@pytest.mark.parametrize("lifetime", [b"0", b"-5", b"true", b'"300"', b"null", b"NaN"])
async def test_a_token_whose_time_is_not_told_serves_once(issuer: Issuer, lifetime: bytes) -> None:
    issuer.reply = ("200 OK", b'{"access_token": "t", "expires_in": %s}' % lifetime)
    async with learning_records(SettableClock()) as records:
        for _ in range(2):
            assert await token_of(records, tenant_with(by_token(issuer))) == "t"
    assert len(issuer.forms) == 2


async def test_creates_at_once_share_one_request_for_a_token(issuer: Issuer) -> None:
    issuer.free.clear()
    async with learning_records(SettableClock()) as records:
        tenant = tenant_with(by_token(issuer))
        asking = [asyncio.create_task(token_of(records, tenant)) for _ in range(8)]
        await asyncio.wait_for(issuer.asked.wait(), PATIENCE)
        issuer.free.set()
        assert await asyncio.gather(*asking) == ["token-1"] * 8
    assert len(issuer.forms) == 1


async def test_whoever_waits_with_one_that_goes_away_asks_anew(issuer: Issuer) -> None:
    issuer.free.clear()
    async with learning_records(SettableClock()) as records:
        tenant = tenant_with(by_token(issuer))
        gone, *others = [asyncio.create_task(token_of(records, tenant)) for _ in range(4)]
        await asyncio.wait_for(issuer.asked.wait(), PATIENCE)
        gone.cancel()
        issuer.free.set()
        assert await asyncio.gather(*others) == ["token-2"] * 3


async def test_after_a_failure_others_go_on_at_once_for_a_while(issuer: Issuer) -> None:
    issuer.reply = ("500 Internal Server Error", b"")
    clock = SettableClock()
    async with learning_records(clock) as records:
        tenant = tenant_with(by_token(issuer))
        assert await token_of(records, tenant) is None
        issuer.reply = None
        assert await token_of(records, tenant) is None
        clock.ahead = PAUSE + 1
        assert await token_of(records, tenant) == "token-2"
    assert len(issuer.forms) == 2


async def test_what_the_administrator_changes_counts_at_once(issuer: Issuer) -> None:
    async with learning_records(SettableClock()) as records:
        lrs = by_token(issuer)
        assert await token_of(records, tenant_with(lrs)) == "token-1"
        assert await token_of(records, tenant_with(replace(lrs, token_username="another"))) == "token-2"
        assert [form["username"] for form in issuer.forms] == ["robot", "another"]


async def test_no_tenant_gets_the_token_of_another(issuer: Issuer) -> None:
    async with learning_records(SettableClock()) as records:
        a = tenant_with(by_token(issuer))
        b = replace(a, id="id-of-b", name="b")
        assert [await token_of(records, tenant) for tenant in (a, b, a, b)] == ["token-1", "token-2", "token-1", "token-2"]
