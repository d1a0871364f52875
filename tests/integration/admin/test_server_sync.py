"""`meetingpool servers sync` and `export`"""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.domain.server_sync import Mode
from meetingpool.operations.server_lists import read_servers
from meetingpool.operations.sync_servers import PlanChanged, plan_sync, sync_servers
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed, Placed

ONE = """
servers:
  one:
    url: https://one.example.org/bigbluebutton/api
    secret: canary-one
    load_multiplier: 2
    tag: gpu;big
  two.example.org:
    secret: canary-two
    enabled: false
"""
ACTOR = Actor(kind=ActorKind.COMMAND, name="test@here")


@pytest.fixture
def one(tmp_path: Path) -> str:
    file = tmp_path / "one.yaml"
    file.write_text(ONE)
    return str(file)


async def test_list_becomes_the_pool_and_then_changes_nothing(meetingpool: CommandLine, listed: Listed, one: str) -> None:
    told = (await meetingpool("servers", "sync", one)).output
    assert "+ one\n" in told
    assert "canary" not in told
    assert "Done: 2 added\n" in told

    servers = {server["id"]: server for server in await listed("servers", "list")}
    assert servers["one"]["url"] == "https://one.example.org/bigbluebutton/api/"
    assert (servers["one"]["tags"], servers["one"]["load_multiplier"]) == (["big", "gpu"], 2.0)
    assert servers["one"]["admin_state"] == "enabled"
    assert servers["two.example.org"]["url"] == "https://two.example.org/bigbluebutton/api/"
    assert servers["two.example.org"]["admin_state"] == "disabled"
    assert (await meetingpool("servers", "sync", one)).stdout == "The servers are as the list says\n"


async def test_plan_tells_old_and_new_values_and_no_secret(meetingpool: CommandLine, listed: Listed, one: str) -> None:
    await meetingpool("servers", "add", "https://one.example.org", "--secret", "old-canary", "--id", "one")
    plan = await meetingpool("servers", "sync", one, "--dry-run", "--format", "json")

    assert "canary" not in plan.output
    change, add = json.loads(plan.stdout)
    assert (change["action"], change["id"]) == ("change", "one")
    assert change["before"] == {"secret": "changed", "load_multiplier": 1.0, "tags": [], "admin_state": "disabled"}
    assert change["after"] == {"secret": "changed", "load_multiplier": 2.0, "tags": ["big", "gpu"], "admin_state": "enabled"}
    assert (add["action"], add["before"], add["after"]["url"]) == ("add", None, "https://two.example.org/bigbluebutton/api/")

    told = (await meetingpool("servers", "sync", one, "--dry-run")).stdout
    assert "~ one\n" in told
    assert "    load_multiplier: 1 -> 2\n    tags: none -> big;gpu\n    admin_state: disabled -> enabled\n" in told
    assert [server["id"] for server in await listed("servers", "list")] == ["one"]


@pytest.mark.parametrize(
    ("mode", "left"), [("keep", {"a": "enabled", "b": "enabled"}), ("cordon", {"a": "cordoned"}), ("force", {})]
)
async def test_servers_that_are_not_in_the_list(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet, one: str, mode: str, left: dict[str, str]
) -> None:
    await placed("lecture", "a", people=3)

    told = await meetingpool("servers", "sync", one, "--mode", mode, "--yes")

    servers = {server["id"]: server["admin_state"] for server in await listed("servers", "list")}
    assert {name: state for name, state in servers.items() if name in "ab"} == left
    assert (pool.servers[0].meetings == {}) == (mode == "force")
    assert ("- b (" in told.stdout) == (mode != "keep")


async def test_servers_go_only_when_somebody_said_yes(meetingpool: CommandLine, listed: Listed, pool: Fleet, one: str) -> None:
    refused = await meetingpool("servers", "sync", one, typed="n\n", exit_code=1)
    assert "Nothing is changed" in refused.stderr
    refused = await meetingpool("servers", "sync", "-", typed=ONE, exit_code=1)
    assert "give --yes" in refused.stderr
    assert [server["id"] for server in await listed("servers", "list")] == ["a", "b"]

    await meetingpool("servers", "sync", one, typed="y\n")
    assert [server["id"] for server in await listed("servers", "list")] == ["one", "two.example.org"]


async def test_exported_list_is_complete_with_secrets_and_masked_without(
    meetingpool: CommandLine, listed: Listed, database: Database, one: str
) -> None:
    await meetingpool("servers", "sync", one)
    await meetingpool("servers", "set", "one", "--region", "north")
    before = await listed("servers", "list", "--show-secrets")

    masked = await meetingpool("servers", "export", "--verbose")
    assert "canary" not in masked.output
    assert "--show-secrets" in masked.stderr
    refused = await meetingpool("servers", "sync", "-", "--yes", typed=masked.stdout, exit_code=1)
    assert refused.stderr == (
        "Server one of the list: it has no secret; `meetingpool servers export --show-secrets` writes them too\n"
    )

    whole = (await meetingpool("servers", "export", "--show-secrets")).stdout
    assert list(yaml.safe_load(whole)["servers"]["two.example.org"]) == ["url", "secret", "load_multiplier", "tag", "enabled"]
    await meetingpool("servers", "remove", "one", "two.example.org")
    await meetingpool("servers", "sync", "-", "--yes", typed=whole)
    assert await listed("servers", "list", "--show-secrets") == before
    shown = await database.rows("SELECT action, actor FROM audit WHERE action = 'servers.show_secret'")
    assert len(shown) == 3


async def test_servers_that_take_each_others_place_in_one_list(meetingpool: CommandLine, listed: Listed, one: str) -> None:
    """The same address under another id: the old one goes first."""
    await meetingpool("servers", "add", "https://one.example.org", "--secret", "s", "--id", "old")
    await meetingpool("servers", "sync", one, "--yes")
    assert [server["id"] for server in await listed("servers", "list")] == ["one", "two.example.org"]


async def test_every_step_is_in_the_audit_and_a_dry_run_in_none(
    meetingpool: CommandLine, database: Database, pool: Fleet, one: str
) -> None:
    count = "SELECT action, subject FROM audit WHERE subject IN ('one', 'two.example.org', 'b') ORDER BY id"
    before = len(await database.rows(count))
    await meetingpool("servers", "sync", one, "--mode", "force", "--dry-run")
    assert len(await database.rows(count)) == before

    await meetingpool("servers", "sync", one, "--mode", "force", "--yes")
    done = [tuple(row) for row in (await database.rows(count))[before:]]
    assert done == [
        ("servers.remove", "b"),
        ("servers.add", "one"),
        ("servers.enable", "one"),
        ("servers.add", "two.example.org"),
    ]


async def test_syncs_at_the_same_time_do_not_mix(database: Database) -> None:
    lists = [read_servers(f"servers: {{x{n}: {{secret: s}}, y{n}: {{secret: s}}, z{n}: {{secret: s}}}}") for n in range(4)]
    async with Client() as client:
        await asyncio.gather(*(sync_servers(database, client, SystemClock(), ACTOR, wanted, Mode.CORDON) for wanted in lists))
    left = {row["id"] for row in await database.rows("SELECT id FROM servers")}
    assert left in [{str(server.id) for server in wanted} for wanted in lists]


async def test_only_what_was_agreed_on_is_taken_away(database: Database) -> None:
    wanted = read_servers("servers: {x: {secret: s}}")
    async with Client() as client:
        agreed = await plan_sync(database, ACTOR, wanted, Mode.CORDON)
        await sync_servers(database, client, SystemClock(), ACTOR, read_servers("servers: {late: {secret: s}}"), Mode.KEEP)
        with pytest.raises(PlanChanged):
            await sync_servers(database, client, SystemClock(), ACTOR, wanted, Mode.CORDON, agreed=agreed)
    assert [row["id"] for row in await database.rows("SELECT id FROM servers")] == ["late"]
