"""A gateway and a poller as processes, that were given secrets which occur nowhere else, and what they say."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
from sqlalchemy import make_url

from meetingpool.bbb.client import signed_url
from meetingpool.database.engine import Database
from meetingpool.database.servers import insert_server, update_server
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.secret_keys import Keyring
from simulator.fleet import Fleet
from simulator.server import SimulatedServer
from tests.end_to_end.commands import clean_environment
from tests.end_to_end.liar import Liar
from tests.end_to_end.processes import free_port

PATIENCE = 30.0

Parameters = Mapping[str, str] | Iterable[tuple[str, str]]
Shows = tuple[str, ...] | None


class Canaries:
    """Secrets that occur nowhere else, by what they are; and what came to be secret on the way."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}
        self.further: set[str] = set()

    def __getitem__(self, name: str) -> str:
        return self._by_name.setdefault(name, f"canary-{name}-{uuid4().hex}")

    def sung(self, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
        """The canaries in `text`, without those that may be there."""
        named = [name for name, canary in self._by_name.items() if canary in text and name not in but]
        return named + [further for further in self.further if further in text]


@dataclass
class Installation:
    """A gateway and a poller, which write to files in `directory`, and the servers that they know."""

    directory: Path
    origin: str
    canaries: Canaries
    good: SimulatedServer
    liar: Liar
    http: httpx.AsyncClient
    answers: list[tuple[str, str]] = field(default_factory=list)

    async def get(self, path: str, *, shows: Shows = ()) -> httpx.Response:
        """Asks, with canaries in the headers. The answer may hold the canaries that it `shows`; None: it is not searched."""
        return self._heard(path, await self.http.get(f"{self.origin}{path}", headers=self._headers), shows)

    async def post(self, path: str, content: str, headers: dict[str, str]) -> httpx.Response:
        """The same with a body."""
        response = await self.http.post(f"{self.origin}{path}", headers={**self._headers, **headers}, content=content)
        return self._heard(path, response, ())

    async def ask(self, call: str, parameters: Parameters = (), *, of: str = "a", shows: Shows = ()) -> httpx.Response:
        """A call of the tenant `of`, rightly signed."""
        return await self.get(self.path(call, parameters, of=of), shows=shows)

    def path(self, call: str, parameters: Parameters, *, of: str = "a") -> str:
        secret = self.canaries["front-end-secret"] if call == "getUser" else self.canaries[f"secret-of-{of}"]
        base = "/bigbluebutton/api" if call == "getUser" else f"/t/{of}/bigbluebutton/api"
        path = signed_url(base, secret, call, dict(parameters).items())
        self.canaries.further.add(path.rpartition("checksum=")[2])
        return path

    def logged(self, process: str) -> str:
        return (self.directory / f"{process}.log").read_bytes().decode()

    async def until_logged(self, process: str, event: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while event not in self.logged(process):
                await asyncio.sleep(0.05)

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.canaries['authorization']}", "cookie": f"JSESSIONID={self.canaries['cookie']}"}

    def _heard(self, path: str, response: httpx.Response, shows: Shows) -> httpx.Response:
        told = f"{response.headers}\n{response.text}"
        if shows is not None:
            self.answers += [(path.partition("?")[0], canary) for canary in self.canaries.sung(told, but=shows)]
        return response


@asynccontextmanager
async def installation(directory: Path, database_url: str, formats: tuple[str, str]) -> AsyncIterator[Installation]:
    canaries = Canaries()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet.running(servers=1, secret=canaries["server-secret"]))
        liar = await stack.enter_async_context(Liar(f"{canaries['server-secret']} {canaries['said-by-a-server']}").listening())
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        port = free_port()
        running = Installation(directory, f"http://127.0.0.1:{port}", canaries, fleet.servers[0], liar, http)
        await fill(database_url, running)
        environment = settings(database_url, port, running)
        processes = [
            await stack.enter_async_context(process(name, directory, {**environment, "MEETINGPOOL_LOG_FORMAT": log_format}))
            for name, log_format in zip(("gateway", "poller"), formats, strict=True)
        ]
        await running.until_logged("gateway", "listening")
        await running.until_logged("poller", "leads")
        yield running
        for each in processes:
            each.send_signal(signal.SIGTERM)
        assert [await each.wait() for each in processes] == [0, 0]


@asynccontextmanager
async def process(name: str, directory: Path, environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Both streams go to one file, named after the process."""
    with (directory / f"{name}.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", name, env=clean_environment() | environment, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


def settings(database_url: str, port: int, running: Installation) -> dict[str, str]:
    canaries = running.canaries
    return {
        "MEETINGPOOL_DATABASE_URL": with_password(database_url, canaries["database-password"]),
        "MEETINGPOOL_SECRET_KEY": canaries["secret-key"],
        "MEETINGPOOL_PUBLIC_URL": running.origin,
        "MEETINGPOOL_LOG_LEVEL": "debug",
        "MEETINGPOOL_ACCESS_LOG": "true",
        "MEETINGPOOL_DATA_DIR": str(running.directory / "data"),
        "MEETINGPOOL_CALLBACK_ALLOW": "127.0.0.0/8",
        "MEETINGPOOL_DRAIN_DELAY": "0.1",
        "PORT": str(port),
        "LOADBALANCER_SECRET": canaries["front-end-secret"],
        "LOADBALANCER_SECRETS": canaries["second-front-end-secret"],
        "MULTITENANCY_ENABLED": "true",
        "FSAPI_PASSWORD": canaries["fsapi-password"],
        "POLL_INTERVAL": "1",
        "CONNECT_TIMEOUT": "1",
        "RESPONSE_TIMEOUT": "2",
    }


def with_password(url: str, password: str) -> str:
    return make_url(url).set(password=password).render_as_string(hide_password=False)


async def fill(database_url: str, running: Installation) -> None:
    """The tenants: a with a password for its learning records, b with a token to be fetched for them."""
    canaries = running.canaries
    password_access = LrsAccess(endpoint="https://lrs.example/", username="a", password=canaries["lrs-password"])
    token_access = LrsAccess(
        endpoint="https://lrs.example/",
        token_url=f"{running.liar.origin}/token",
        client_id="id",
        client_secret=canaries["lrs-client-secret"],
        token_username="b",
        token_password=canaries["lrs-token-password"],
    )
    servers = {"good": running.good.url, "liar": f"{running.liar.origin}/bigbluebutton/api/"}
    database = Database(database_url, name="test", keyring=Keyring([canaries["secret-key"]]))
    async with database.transaction() as connection:
        for name, lrs in (("a", password_access), ("b", token_access)):
            secrets = (canaries[f"secret-of-{name}"], canaries[f"second-secret-of-{name}"])
            await insert_tenant(connection, Tenant(id=name, name=name, secrets=secrets, lrs=lrs))
        for name, url in servers.items():
            await insert_server(connection, Server(id=ServerId(name), url=url, secret=canaries["server-secret"]))
            changes = {"admin_state": AdminState.ENABLED, "health": Health.ONLINE, "tags": [name]}
            await update_server(connection, ServerId(name), changes)
    await database.close()
