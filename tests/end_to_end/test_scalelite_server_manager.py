"""What Ansible's module for Scalelite does, request by request, at a real gateway: signed by hand and sent by urllib.

The module is scalelite_server_manager of virtUOS. It asks for all servers, finds its own by the host name in the URL, and then
adds, changes, panics or deletes it; whatever is answered with a status from 400 on fails its task.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import httpx
import pytest
from lxml import etree

from meetingpool.bbb.client import signed_url
from meetingpool.database.servers import delete_server
from meetingpool.domain.servers import ServerId
from simulator.server import SimulatedServer
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.pool import SECRET, RunningPool, running_pool

# The host name of all simulated servers, and so the id of the one that is added.
HOST = "127.0.0.1"


class ServerManager:
    """The module, run for one server with one wanted state after another."""

    def __init__(self, api: str, server: SimulatedServer) -> None:
        self._api = api
        # As people write it in their playbooks.
        self._server_url = server.url.rstrip("/")
        self._server_secret = server.secret

    async def want(self, state: str, *, secret: str | None = None, load_multiplier: float | None = None) -> bool:
        """Whether anything was changed for the server to be in this state."""
        return await asyncio.to_thread(self._run, state, secret or self._server_secret, load_multiplier)

    async def server(self) -> dict[str, Any] | None:
        return await asyncio.to_thread(self._own_server)

    def _run(self, state: str, secret: str, load_multiplier: float | None) -> bool:
        server = self._own_server()
        is_new = server is None
        if server is None:
            if state == "absent":
                return False
            assert state not in ("cordoned", "panic")
            given = {"url": self._server_url, "secret": secret}
            server = self._post(
                "addServer", {"server": given | ({"load_multiplier": load_multiplier} if load_multiplier else {})}
            )
        host = urlsplit(self._server_url).hostname
        if state in ("absent", "panic"):
            self._post({"absent": "deleteServer", "panic": "panicServer"}[state], {"id": host})
            return True
        changes = self._changes(server, state, secret, load_multiplier)
        if changes:
            self._post("updateServer", {"id": host, "server": changes})
        return is_new or bool(changes)

    def _changes(self, server: dict[str, Any], state: str, secret: str, load_multiplier: float | None) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        verbs = {"enabled": "enable", "disabled": "disable", "cordoned": "cordon"}
        if state in verbs and server["state"] != state:
            changes["state"] = verbs[state]
        if server["secret"] != secret:
            changes["secret"] = secret
        # Compared as text.
        if load_multiplier and server["load_multiplier"] != str(load_multiplier):
            changes["load_multiplier"] = load_multiplier
        return changes

    def _own_server(self) -> dict[str, Any] | None:
        try:
            servers = self._send("getServers")
        except HTTPError as error:
            if error.code != 404:
                raise
            return None
        host = urlsplit(self._server_url).hostname
        return next((server for server in servers if server["id"] == host), None)

    def _post(self, call: str, body: dict[str, Any]) -> Any:
        return self._send(call, json.dumps(body).encode())

    def _send(self, call: str, body: bytes | None = None) -> Any:
        request = Request(self._url(call), body, {"Content-Type": "application/json"} if body else {})  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def _url(self, call: str) -> str:
        checksum = hashlib.sha1(f"{call}{SECRET}".encode()).hexdigest()  # noqa: S324
        return f"{self._api}/{call}?checksum={checksum}"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[RunningPool]:
    """One simulated server, which the pool does not have yet."""
    async with running_pool(database_url, servers=1) as pool:
        async with pool.database.transaction() as connection:
            await delete_server(connection, ServerId(pool.fleet.servers[0].name))
        yield pool


@pytest.fixture
async def gateway(pool: RunningPool, database_url: str) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(database_url, SERVER_ID_IS_HOSTNAME="true") as gateway:
        yield gateway


@pytest.fixture
def manager(pool: RunningPool, gateway: GatewayProcess) -> ServerManager:
    return ServerManager(f"{gateway.origin}/scalelite/api", pool.fleet.servers[0])


async def poll(pool: RunningPool) -> None:
    """Polls the server under the id that it was given."""
    server = (await pool.servers())[HOST]
    await pool.record({server.id: await pool.poller.poll(server)})


async def create(gateway: GatewayProcess, meeting_id: str) -> str | None:
    """The messageKey of the refusal; None when the meeting was created."""
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(signed_url(gateway.endpoint, SECRET, "create", [("meetingID", meeting_id), ("name", "A room")]))
    document = etree.fromstring(answer.content)
    return None if document.findtext("returncode") == "SUCCESS" else document.findtext("messageKey")


async def test_a_server_goes_through_all_its_states(pool: RunningPool, gateway: GatewayProcess, manager: ServerManager) -> None:
    assert not await manager.want("absent")
    assert await manager.want("present")
    assert not await manager.want("present")
    assert await create(gateway, "too-early") == "internalError"
    for state in ("enabled", "cordoned", "disabled", "enabled"):
        assert await manager.want(state)
        assert not await manager.want(state)
        assert (await manager.server() or {})["state"] == state
    await poll(pool)
    assert (await manager.server() or {})["online"] == "online"
    assert await create(gateway, "room") is None
    assert await manager.want("panic")
    assert pool.holders("room") == []
    assert (await manager.server() or {})["state"] == "disabled"
    assert await manager.want("absent")
    assert await manager.server() is None


async def test_a_new_server_is_added_and_enabled_in_one_run(pool: RunningPool, manager: ServerManager) -> None:
    assert await manager.want("enabled", load_multiplier=2.5)
    assert not await manager.want("enabled", load_multiplier=2.5)
    server = await manager.server()
    assert server is not None
    assert (server["id"], server["state"], server["load_multiplier"]) == (HOST, "enabled", "2.5")


async def test_a_secret_and_a_multiplier_are_brought_up_to_date(pool: RunningPool, manager: ServerManager) -> None:
    assert await manager.want("present")
    assert await manager.want("present", secret="new-secret", load_multiplier=3.0)
    assert not await manager.want("present", secret="new-secret", load_multiplier=3.0)
    assert (await pool.servers())[HOST].secret == "new-secret"


@pytest.mark.parametrize("state", ["absent", "disabled"])
async def test_a_task_fails_rather_than_that_meetings_are_lost(
    pool: RunningPool, gateway: GatewayProcess, manager: ServerManager, state: str
) -> None:
    await manager.want("enabled")
    await poll(pool)
    assert await create(gateway, "room") is None
    with pytest.raises(HTTPError) as refused:
        await manager.want(state)
    with refused.value as answer:
        assert answer.code == 400
        assert "meetings run on it (room)" in json.load(answer)["error"]
    assert (await manager.server() or {})["state"] == "enabled"
    assert await create(gateway, "room") is None
