"""A pool to test against: simulated servers, a real database, and gateways in this process that share nothing but that."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from lxml import etree
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app import create_app, open_gateway
from gateway.state import Gateway, Readiness
from meetingpool.bbb.checksum import Algorithm
from meetingpool.bbb.client import Client, signed_url
from meetingpool.clock import Clock, SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.meetings import find_meeting
from meetingpool.database.servers import all_servers, insert_server, update_server
from meetingpool.domain.health import half_of_the_pool_fails
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingKey
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll, PollRules, Recorded, record_polls
from meetingpool.settings import Settings, all_settings
from simulator.fleet import Fleet
from simulator.server import SimulatedServer
from tests.keys import KEYRING, SECRET_KEY

SECRET = "front-end-secret"
ENDPOINT = "http://gateway/bigbluebutton/api"


@dataclass
class FrontEnd:
    """What Greenlight or Moodle would be: signs calls and reads answers."""

    http: httpx.AsyncClient
    gateway: Gateway
    algorithm: Algorithm = Algorithm.SHA256

    async def get(self, call: str, *parameters: tuple[str, str], **named: str) -> httpx.Response:
        url = signed_url(ENDPOINT, SECRET, call, [*parameters, *named.items()], self.algorithm)
        return await self.http.get(url)

    async def ask(self, call: str, *parameters: tuple[str, str], **named: str) -> "etree._Element":
        """The root of the answer to a call, which is XML with status 200 whatever it says."""
        return read(await self.get(call, *parameters, **named))

    async def create(self, meeting_id: str, **named: str) -> "etree._Element":
        return await self.ask("create", meetingID=meeting_id, **{"name": "A room", **named})


def read(response: httpx.Response) -> "etree._Element":
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/xml;charset=utf-8"
    return etree.fromstring(response.content)


def key_of(answer: "etree._Element") -> str | None:
    return answer.findtext("messageKey")


def succeeded(answer: "etree._Element") -> bool:
    return answer.findtext("returncode") == "SUCCESS"


@dataclass
class RunningPool:
    """`servers` in the database carry the names of the simulated ones."""

    fleet: Fleet
    database: Database
    settings: Settings
    clock: Clock
    poller: ServerPoller
    stack: AsyncExitStack
    reached: dict[ServerId, bool] = field(default_factory=dict)

    async def front_end(self) -> FrontEnd:
        """A front end at a gateway of its own, as a further process would be."""
        gateway = await self.stack.enter_async_context(open_gateway(self.settings, Readiness(), self.clock))
        transport = httpx.ASGITransport(self.application(gateway), raise_app_exceptions=True)
        return FrontEnd(await self.stack.enter_async_context(httpx.AsyncClient(transport=transport)), gateway)

    def application(self, gateway: Gateway) -> ASGIApp:
        """What a process serves that has opened `gateway`."""
        app = create_app(self.settings, gateway.readiness, self.clock)

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": {"gateway": gateway}}, receive, send)

        return with_state

    async def poll(self, servers: Iterable[SimulatedServer] | None = None, rules: PollRules | None = None) -> Recorded:
        """One round of polls, of all servers or some, recorded as the poller would."""
        names = [server.name for server in servers or self.fleet.servers]
        rows = await self.servers()
        polls: dict[ServerId, Poll] = {}
        for name in names:
            polls[ServerId(name)] = await self.poller.poll(rows[name])
        self.reached |= {name: poll.meetings is not None for name, poll in polls.items()}
        return await self.record(polls, rules)

    async def record(self, polls: dict[ServerId, Poll], rules: PollRules | None = None) -> Recorded:
        panic = half_of_the_pool_fails(self.reached.values())
        async with self.database.transaction() as connection:
            return await record_polls(connection, polls, rules or self.rules, self.clock, panic=panic)

    @property
    def rules(self) -> PollRules:
        return poll_rules(self.settings)

    async def servers(self) -> dict[str, Server]:
        async with self.database.transaction() as connection:
            return {server.id: server for server in await all_servers(connection)}

    async def change_server(self, server: SimulatedServer, **changes: Any) -> None:
        async with self.database.transaction() as connection:
            await update_server(connection, ServerId(server.name), changes)

    def holders(self, meeting_id: str) -> list[SimulatedServer]:
        """The servers that have the meeting."""
        return [server for server in self.fleet.servers if meeting_id in server.meetings]

    def simulated(self, name: str) -> SimulatedServer:
        return next(server for server in self.fleet.servers if server.name == name)


@asynccontextmanager
async def running_pool(
    database_url: str, *, servers: int = 3, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[RunningPool]:
    """A pool of enabled servers that were polled once. Settings may be text, as the environment would say them."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet.running(servers=servers))
        database = Database(database_url, name="test", pool_size=5, keyring=KEYRING)
        stack.push_async_callback(database.close)
        client = await stack.enter_async_context(Client(connect_timeout=1.0))
        pool = RunningPool(
            fleet=fleet,
            database=database,
            settings=Settings(
                database_url=database_url,
                loadbalancer_secret=SECRET,
                secret_key=(SECRET_KEY,),
                **{"response_timeout": 2.0, "connect_timeout": 1.0, "freshness": 0.0, **_as_read(settings)},
            ),
            clock=clock,
            poller=ServerPoller(client, clock, deadline=1.0),
            stack=stack,
        )
        async with database.transaction() as connection:
            for server in fleet.servers:
                await insert_server(
                    connection,
                    Server(id=ServerId(server.name), url=server.url, secret=server.secret),
                )
                await update_server(connection, ServerId(server.name), {"admin_state": AdminState.ENABLED})
        await pool.poll()
        yield pool


def _as_read(settings: dict[str, Any]) -> dict[str, Any]:
    readers = {setting.name: setting.read for setting in all_settings()}
    return {name: readers[name](value) if isinstance(value, str) else value for name, value in settings.items()}


async def meeting_row(database: Database, meeting_id: str) -> Meeting | None:
    async with database.transaction() as connection:
        return await find_meeting(connection, MeetingKey(DEFAULT_TENANT, meeting_id))
