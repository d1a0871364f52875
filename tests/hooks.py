"""Webhooks of front ends at a gateway, and of the gateway at simulated servers."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.hooks import HookForm, hook_path
from meetingpool.domain.servers import ServerId
from meetingpool.domain.tenants import Tenant
from poller.hook_registration import HookRegistration
from simulator.server import SimulatedServer
from tests.callbacks import CallbackPool, callback_pool
from tests.integration.gateway.test_tenants import TenantFrontEnd
from tests.integration.simulator.receiving import Delivered, eventually
from tests.pool import FrontEnd, RunningPool, succeeded

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class SettableClock:
    now: float = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return 1_700_000_000.0 + self.now


@asynccontextmanager
async def registration(
    pool: RunningPool, clock: Clock | None = None, base_url: str | None = None
) -> AsyncIterator[HookRegistration]:
    """What a leading poller does about webhooks, to be done a look at a time."""
    async with Client(connect_timeout=1.0) as client:
        yield HookRegistration(pool.database, client, clock or pool.clock, base_url=base_url or pool.settings.base_url)


async def register(callbacks: CallbackPool) -> None:
    """Servers have our webhooks from now on, or no longer, as front ends have theirs."""
    async with registration(callbacks.pool) as hooks:
        await hooks.look()


def own_path(callbacks: CallbackPool, server: SimulatedServer, form: HookForm = HookForm.PROCESSED) -> str:
    return hook_path(callbacks.front_end.gateway.placer.callback_key, ServerId(server.name), form)


def an_event(meeting_id: str, event_id: str = "user-joined", *, ts: int = 1, **attributes: Any) -> dict[str, Any]:
    """An event as bbb-webhooks describes it."""
    meeting = {"internal-meeting-id": f"internal-{meeting_id}", "external-meeting-id": meeting_id}
    data = {"type": "event", "id": event_id, "attributes": {"meeting": meeting, **attributes}, "event": {"ts": ts}}
    return {"data": data}


def post_of(*events: Any, timestamp: Any = 1_700_000_000_000) -> bytes:
    """A post as bbb-webhooks makes it."""
    return urlencode({"domain": "bbb.example", "event": json.dumps(events), "timestamp": timestamp}).encode()


def checksum_of(url: str, body: bytes, secret: str, algorithm: str = "sha1") -> str:
    return hashlib.new(algorithm, url.encode() + body + secret.encode(), usedforsecurity=False).hexdigest()


async def bring(
    callbacks: CallbackPool, server: SimulatedServer, *events: Any, body: bytes | None = None, **options: Any
) -> httpx.Response:
    """What `server` would post, rightly signed."""
    content = post_of(*events) if body is None else body
    path = options.pop("path", own_path(callbacks, server))
    checksum = checksum_of(callbacks.url + path, content, options.pop("secret", server.secret))
    return await callbacks.call(f"{path}?checksum={checksum}", "POST", content=content, headers=FORM, **options)


@dataclass(frozen=True)
class Told:
    """What a front end was told by one post."""

    call: Delivered

    @property
    def fields(self) -> list[tuple[str, str]]:
        return parse_qsl(self.call.body.decode(), strict_parsing=True)

    @property
    def events(self) -> list[Mapping[str, Any]]:
        listed = json.loads(dict(self.fields)["event"])
        assert isinstance(listed, list)
        return listed

    @property
    def id(self) -> str:
        (event,) = self.events
        return str(event["data"]["id"])

    @property
    def meeting(self) -> Mapping[str, Any]:
        (event,) = self.events
        meeting: Mapping[str, Any] = event["data"]["attributes"]["meeting"]
        return meeting

    def is_signed(self, url: str, secret: str, algorithm: str = "sha1") -> bool:
        """Whether it was signed for the address that was registered."""
        given = dict(parse_qsl(urlsplit(self.call.target).query))["checksum"]
        return given == checksum_of(url, self.call.body, secret, algorithm)


async def hook_at(front_end: FrontEnd | TenantFrontEnd, url: str, **parameters: str) -> str:
    """The id of a new webhook."""
    answer = await front_end.ask("hooks/create", callbackURL=url, **parameters)
    assert succeeded(answer), answer.findtext("message")
    return answer.findtext("hookID") or ""


@asynccontextmanager
async def tenants_pool(database_url: str, **settings: Any) -> AsyncIterator[CallbackPool]:
    """With the tenants a and b."""
    async with callback_pool(database_url, multitenancy_enabled=True, **settings) as callbacks:
        async with callbacks.pool.database.transaction() as connection:
            for name in ("a", "b"):
                await insert_tenant(connection, Tenant(id=f"id-of-{name}", name=name, secrets=(f"secret of {name}", "second")))
        await eventually(lambda: callbacks.front_end.gateway.tenants.named("b"))
        yield callbacks
