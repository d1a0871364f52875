"""Scalelite's management API: the words and statuses that scripts know, an entry in the audit for each change, nothing lost."""

from collections.abc import AsyncIterator

import httpx
import pytest

from meetingpool.database.audit import find_audit
from meetingpool.database.servers import update_server
from meetingpool.domain.audit import AuditEntry
from meetingpool.domain.servers import ServerId
from simulator.faults import Faults
from tests.logs import captured_logs
from tests.pool import SECRET, RunningPool, key_of, read, running_pool, succeeded
from tests.scalelite import Manager

NEW = {"url": "https://bbb.example.org/bigbluebutton/api/", "secret": "its-secret"}


@pytest.fixture
async def manager(pool: RunningPool) -> Manager:
    return Manager((await pool.front_end()).http)


@pytest.fixture
async def empty_pool(database_url: str) -> AsyncIterator[RunningPool]:
    """No servers, and servers that are added are named after their hosts."""
    async with running_pool(database_url, servers=0, server_id_is_hostname="true") as pool:
        yield pool


async def entries(pool: RunningPool) -> list[AuditEntry]:
    """What the audit holds, the oldest first."""
    async with pool.database.transaction() as connection:
        return (await find_audit(connection))[::-1]


async def audited(pool: RunningPool) -> list[tuple[str, str]]:
    return [(entry.action, entry.subject) for entry in await entries(pool)]


def says(response: httpx.Response) -> tuple[int, object]:
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()


async def test_a_pool_without_servers_says_so(empty_pool: RunningPool) -> None:
    manager = Manager((await empty_pool.front_end()).http)
    assert says(await manager.get("getServers")) == (404, {"error": "No servers are configured"})


async def test_servers_are_shown_as_scalelite_shows_them(pool: RunningPool, manager: Manager) -> None:
    server = pool.fleet.servers[0]
    await pool.change_server(server, tags=["sip", "gpu"], load_multiplier=2.5, load=37.5, bbb_version="3.0.4")
    status, shown = says(await manager.get("getServers"))
    assert status == 200
    assert isinstance(shown, list)
    assert [each["id"] for each in shown] == sorted(server.name for server in pool.fleet.servers)
    expected = {
        "id": server.name,
        "url": server.url,
        "secret": server.secret,
        "tag": "gpu;sip",
        "bbb_version": "3.0.4",
        "state": "enabled",
        "load": 37.5,
        "load_multiplier": "2.5",
        "online": "online",
    }
    assert shown[0] == expected
    assert says(await manager.get("getServerInfo", id=server.name)) == (200, expected)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"admin_state": "disabled"}, ("disabled", "online", "unavailable")),
        ({"health": "offline"}, ("enabled", "offline", "unavailable")),
        ({"health": "dead"}, ("enabled", "offline", "unavailable")),
        ({"health": "suspect"}, ("enabled", "online", 7.0)),
        ({"admin_state": "cordoned"}, ("cordoned", "online", 7.0)),
        ({"last_poll": None}, ("enabled", "online", "unavailable")),
    ],
)
async def test_a_load_is_shown_where_there_is_one(
    pool: RunningPool, manager: Manager, changes: dict[str, str | None], shown: tuple[str, str, object]
) -> None:
    server = pool.fleet.servers[0]
    await pool.change_server(server, load=7.0, **changes)
    told = (await manager.servers())[server.name]
    assert (told["state"], told["online"], told["load"]) == shown


async def test_a_server_is_added_disabled(empty_pool: RunningPool) -> None:
    manager = Manager((await empty_pool.front_end()).http)
    answer = await manager.post("addServer", {"server": NEW})
    expected = {
        "id": "bbb.example.org",
        **NEW,
        "tag": "",
        "bbb_version": "",
        "state": "disabled",
        "load": "unavailable",
        "load_multiplier": "1.0",
        "online": "offline",
    }
    assert says(answer) == (201, expected)
    assert await manager.servers() == {"bbb.example.org": expected}


@pytest.mark.parametrize(
    ("more", "multiplier", "tag"),
    [
        ({"load_multiplier": 2, "tag": "gpu"}, "2.0", "gpu"),
        ({"load_multiplier": "0.5", "tag": "sip;gpu"}, "0.5", "gpu;sip"),
        ({"load_multiplier": 0, "tag": ""}, "1.0", ""),
        ({"load_multiplier": "", "tag": None}, "1.0", ""),
        ({"load_multiplier": None}, "1.0", ""),
    ],
)
async def test_multiplier_and_tag_are_taken_as_scalelite_takes_them(
    empty_pool: RunningPool, more: dict[str, object], multiplier: str, tag: str
) -> None:
    manager = Manager((await empty_pool.front_end()).http)
    told = (await manager.post("addServer", {**NEW, **more})).json()
    assert (told["load_multiplier"], told["tag"]) == (multiplier, tag)


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ({"url": "https://bbb.example.org"}, "Server needs a URL and a secret"),
        ({"url": " ", "secret": "s"}, "Server needs a URL and a secret"),
        ({"x": 1}, "Server needs a URL and a secret"),
        ({**NEW, "url": "bbb.example.org"}, "Server URL must start with http:// or https:// and name a host"),
        ({**NEW, "load_multiplier": -1}, "The load multiplier must be a number greater than 0"),
        ({**NEW, "load_multiplier": "inf"}, "The load multiplier must be a number greater than 0"),
        ({**NEW, "load_multiplier": "2,5"}, "load_multiplier must be a number"),
        ({**NEW, "load_multiplier": True}, "load_multiplier must be a number"),
        ({**NEW, "secret": {"a": "b"}}, "secret must be text"),
        ({**NEW, "secret": "nul\0"}, "secret must be text without control characters"),
        ({**NEW, "tag": "lone \ud800"}, "tag must be text without control characters"),
        ({**NEW, "tag": "two words"}, "A tag must be a word without spaces"),
    ],
)
async def test_a_server_that_cannot_be_is_refused_with_a_sentence(
    empty_pool: RunningPool, server: dict[str, object], sentence: str
) -> None:
    manager = Manager((await empty_pool.front_end()).http)
    answer = await manager.post("addServer", {"server": server})
    assert says(answer)[0] == 400
    assert answer.json()["error"].startswith(sentence)
    assert (await manager.get("getServers")).status_code == 404
    assert await audited(empty_pool) == [("servers.show_secret", "all")]


async def test_a_server_is_not_added_twice(empty_pool: RunningPool) -> None:
    manager = Manager((await empty_pool.front_end()).http)
    assert (await manager.post("addServer", {"server": NEW})).status_code == 201
    again = await manager.post("addServer", {"server": NEW})
    assert again.status_code == 400
    assert "already" in again.json()["error"]


@pytest.mark.parametrize("body", [None, {}, [], {"server": {}}, {"server": None}, {"server": "text"}, {"server": []}])
@pytest.mark.parametrize("call", ["addServer", "addTenant"])
async def test_a_missing_object_is_told_as_scalelite_tells_it(database_url: str, call: str, body: object) -> None:
    async with running_pool(database_url, servers=0, multitenancy_enabled="true") as pool:
        manager = Manager((await pool.front_end()).http)
        noun = call.removeprefix("add").lower()
        if isinstance(body, dict) and "server" in body:
            body = {noun: body["server"]}
        answer = read(await manager.post(call, body))
        assert key_of(answer) == "internalError"
        assert answer.findtext("message") == f"param is missing or the value is empty: {noun}"


async def test_a_server_is_changed_all_of_it_or_nothing(pool: RunningPool, manager: Manager) -> None:
    name = pool.fleet.servers[0].name
    changed = {"state": "cordon", "load_multiplier": 3, "secret": "another", "tag": "gpu"}
    status, told = says(await manager.post("updateServer", {"id": name, "server": changed}))
    assert status == 200
    assert isinstance(told, dict)
    assert (told["state"], told["load_multiplier"], told["secret"], told["tag"]) == ("cordoned", "3.0", "another", "gpu")
    for wrong in ({"state": "enabled"}, {"load_multiplier": 0}, {"load_multiplier": -2}, {"secret": ""}, {"tag": "a b"}):
        part = {"state": "enable", "load_multiplier": 1, "secret": "s", "tag": ""} | wrong
        assert (await manager.post("updateServer", {"id": name, "server": part})).status_code == 400
    assert (await manager.servers())[name] == told


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ({"state": "enabled"}, "Invalid state parameter: enabled"),
        ({"load_multiplier": 0}, "Load-multiplier must be a non-zero number"),
        ({"load_multiplier": ""}, "Load-multiplier must be a non-zero number"),
        ({}, "param is missing or the value is empty: server"),
    ],
)
async def test_what_cannot_be_changed_is_told_in_scalelites_words(
    pool: RunningPool, manager: Manager, server: dict[str, object], sentence: str
) -> None:
    answer = await manager.post("updateServer", {"id": pool.fleet.servers[0].name, "server": server})
    assert says(answer) == (400, {"error": sentence})


async def test_changes_may_come_flat_and_an_empty_tag_takes_all_away(pool: RunningPool, manager: Manager) -> None:
    server = pool.fleet.servers[0]
    await pool.change_server(server, tags=["gpu"])
    told = (await manager.post("updateServer", {"id": server.name, "tag": "", "url": "https://other.example.org"})).json()
    assert (told["tag"], told["url"]) == ("", server.url)


async def test_an_id_in_the_query_is_signed_and_so_counts(pool: RunningPool, manager: Manager) -> None:
    first, second = (server.name for server in pool.fleet.servers[:2])
    answer = await manager.post("updateServer", {"id": second, "server": {"state": "cordon"}}, id=first)
    assert answer.json()["id"] == first
    states = {name: server["state"] for name, server in (await manager.servers()).items()}
    assert (states[first], states[second]) == ("cordoned", "enabled")


@pytest.mark.parametrize("call", ["updateServer", "deleteServer", "panicServer"])
@pytest.mark.parametrize("body", [{"id": "nobody", "server": {"state": "enable"}}, {"id": "nobody"}])
async def test_an_unknown_server_is_not_found(manager: Manager, call: str, body: object) -> None:
    assert says(await manager.post(call, body)) == (404, {"error": "Couldn't find server with id=nobody"})


async def test_a_server_that_is_not_named_is_not_found(manager: Manager) -> None:
    assert says(await manager.get("getServerInfo")) == (404, {"error": "Couldn't find server with id="})
    assert says(await manager.post("deleteServer")) == (404, {"error": "Couldn't find server with id="})


async def test_a_server_is_deleted_when_it_is_empty_and_not_before(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    manager = Manager(front_end.http)
    assert succeeded(await front_end.create("room"))
    (server,) = pool.holders("room")
    for call, body in (("deleteServer", {}), ("updateServer", {"server": {"state": "disable"}})):
        refused = await manager.post(call, {"id": server.name, **body})
        assert refused.status_code == 400
        assert "meetings run on it (room)" in refused.json()["error"]
    assert (await manager.servers())[server.name]["state"] == "enabled"
    assert succeeded(await front_end.ask("getMeetingInfo", meetingID="room"))
    empty = next(each.name for each in pool.fleet.servers if each is not server)
    assert says(await manager.post("deleteServer", {"id": empty})) == (200, {"success": f"Server id={empty} was destroyed"})
    assert empty not in await manager.servers()


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "disabled"),
        ({"keep_state": True}, "enabled"),
        ({"keep_state": "true"}, "enabled"),
        ({"keep_state": False}, "disabled"),
        # Where Scalelite's documentation has it, and Scalelite does not look.
        ({"server": {"keep_state": True}}, "disabled"),
    ],
)
async def test_panic_ends_the_meetings_of_a_server(pool: RunningPool, more: dict[str, object], state: str) -> None:
    front_end = await pool.front_end()
    manager = Manager(front_end.http)
    assert succeeded(await front_end.create("room"))
    (server,) = pool.holders("room")
    answer = await manager.post("panicServer", {"id": server.name, **more})
    success = f"Server id={server.name} has been disabled and the meetings have been destroyed"
    assert says(answer) == (200, {"success": success})
    assert (await manager.servers())[server.name]["state"] == state
    assert not pool.holders("room")


async def test_panic_names_the_meetings_that_may_run_on(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    assert succeeded(await front_end.create("room"))
    (server,) = pool.holders("room")
    await pool.fleet.set_faults(server, Faults(hang=True, calls=frozenset({"end"})))
    answer = await Manager(front_end.http).post("panicServer", {"id": server.name})
    assert answer.status_code == 200
    assert list(answer.json()["not_ended"]) == ["room"]


async def test_every_change_is_in_the_audit_without_secrets(pool: RunningPool, manager: Manager) -> None:
    with captured_logs() as logged:
        await manager.post("addServer", {"server": {**NEW, "tag": "gpu"}})
        url = {server.url: server.id for server in (await pool.servers()).values()}
        added = url[NEW["url"]]
        await manager.post("updateServer", {"id": added, "server": {"secret": "canary", "state": "enable"}})
        await manager.post("panicServer", {"id": added})
        await manager.post("deleteServer", {"id": added})
    everything = await entries(pool)
    assert [(entry.action, entry.subject) for entry in everything] == [
        ("servers.add", added),
        ("servers.set", added),
        ("servers.enable", added),
        ("servers.show_secret", added),
        ("servers.panic", added),
        ("servers.remove", added),
    ]
    assert {(entry.actor.kind, entry.actor.name, entry.actor.address) for entry in everything} == {
        ("scalelite_api", "load balancer secret 1", "127.0.0.1")
    }
    for secret in ("canary", NEW["secret"], SECRET):
        assert secret not in str([(entry.before, entry.after) for entry in everything])
        assert secret not in str(logged)


async def test_the_audit_names_the_secret_and_the_request(database_url: str) -> None:
    async with running_pool(database_url, loadbalancer_secrets="second") as pool:
        manager = Manager((await pool.front_end()).http, secret="second")
        manager.http.headers["x-request-id"] = "run-42"
        await manager.get("getServers")
        (entry,) = await entries(pool)
        assert (entry.actor.name, entry.actor.request_id) == ("load balancer secret 2", "run-42")


async def test_who_is_shown_secrets_is_in_the_audit_once_an_hour(pool: RunningPool, manager: Manager) -> None:
    name = pool.fleet.servers[0].name
    for _ in range(3):
        await manager.get("getServers")
        await manager.get("getServerInfo", id=name)
        await manager.get("getServerInfo", id="nobody")
    assert await audited(pool) == [("servers.show_secret", "all"), ("servers.show_secret", name)]


async def test_a_server_is_found_by_its_host_name_too(pool: RunningPool, manager: Manager) -> None:
    server = pool.fleet.servers[0]
    async with pool.database.transaction() as connection:
        await update_server(connection, ServerId(server.name), {"url": NEW["url"]})
    assert (await manager.get("getServerInfo", id="bbb.example.org")).json()["id"] == server.name
