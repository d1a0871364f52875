"""`meetingpool servers …`"""

import asyncio
import json
from pathlib import Path

import pytest

from meetingpool.database.api_tokens import list_tokens
from meetingpool.database.engine import Database
from meetingpool.database.servers import update_server
from meetingpool.domain.servers import ServerId
from meetingpool.operations.changes import changing
from meetingpool.operations.register_server import register_server
from simulator.faults import Faults
from simulator.fleet import Fleet
from tests.actors import SOMEBODY
from tests.integration.admin.conftest import CommandLine, Listed, Placed

FIELDS = [
    *("id", "url", "admin_state", "health", "load", "load_multiplier", "tags", "region"),
    *("meetings", "users", "largest_meeting", "videos", "bbb_version", "last_poll"),
    *("max_meetings", "max_users", "soft_meetings", "soft_users"),
    *("registered_by", "registration", "registered_until"),
]


async def test_added_server_is_disabled_until_it_is_enabled(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool(
        *("servers", "add", "https://bbb1.example.org", "--secret", "s", "--id", "one"),
        *("--load-multiplier", "2", "--tag", "gpu", "--tag", "big", "--region", "north"),
    )
    [server] = await listed("servers", "list")
    assert list(server) == FIELDS
    assert server["url"] == "https://bbb1.example.org/bigbluebutton/api/"
    assert (server["id"], server["admin_state"], server["load_multiplier"]) == ("one", "disabled", 2.0)
    assert (server["tags"], server["region"], server["last_poll"]) == (["big", "gpu"], "north", None)

    await meetingpool("servers", "enable", "bbb1.example.org")
    [server] = await listed("servers", "list")
    assert server["admin_state"] == "enabled"


async def test_server_without_an_id_gets_its_host_name_when_told_so(
    meetingpool: CommandLine, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await meetingpool("servers", "add", "https://bbb1.example.org", "--secret", "s")
    monkeypatch.setenv("SERVER_ID_IS_HOSTNAME", "true")
    await meetingpool("servers", "add", "https://bbb2.example.org", "--secret", "s")

    ids = {server["url"]: server["id"] for server in await listed("servers", "list")}
    assert ids["https://bbb2.example.org/bigbluebutton/api/"] == "bbb2.example.org"
    assert len(ids["https://bbb1.example.org/bigbluebutton/api/"]) == 36


async def test_secret_comes_from_a_file_or_standard_input_and_shows_on_demand_only(
    meetingpool: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file\n")
    await meetingpool("servers", "add", "https://a.example", "--secret-file", str(file), "--id", "a")
    await meetingpool("servers", "add", "https://b.example", "--secret", "-", "--id", "b", typed="typed-in\n")

    assert "from-a-file" not in (await meetingpool("servers", "list", "--format", "json")).output
    shown = await meetingpool("servers", "list", "--format", "json", "--show-secrets")
    assert [server["secret"] for server in json.loads(shown.stdout)] == ["from-a-file", "typed-in"]


async def test_enabling_while_adding_says_what_was_seen(meetingpool: CommandLine, listed: Listed, fleet: Fleet) -> None:
    server = fleet.servers[0]
    server.create_meeting("lecture", people=3)

    told = await meetingpool("servers", "add", server.url, "--secret", server.secret, "--id", "a", "--enable")

    assert "Server a is enabled: BigBlueButton 3.0.19, 1 meetings, 3 users\n" in told.stdout
    [seen] = await listed("servers", "list")
    assert (seen["admin_state"], seen["health"], seen["meetings"], seen["users"]) == ("enabled", "online", 1, 3)
    assert seen["last_poll"].endswith("Z")


@pytest.mark.parametrize(
    ("secret", "faults", "reason"),
    [
        ("wrong", Faults(), "refuses the secret (checksumError)"),
        (None, Faults(refuse=True), "cannot be reached (no connection: "),
        (None, Faults(body="html"), "does not answer as a BigBlueButton server does ("),
        (None, Faults(hang=True), "is too slow (no complete answer within 2 s)"),
    ],
)
async def test_server_that_a_poll_does_not_reach_is_added_and_stays_disabled(
    meetingpool: CommandLine, listed: Listed, fleet: Fleet, secret: str | None, faults: Faults, reason: str
) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, faults)

    told = await meetingpool(
        *("servers", "add", server.url, "--secret", secret or server.secret, "--id", "a", "--enable"), exit_code=1
    )

    assert told.stderr.startswith(f"Server a is disabled, because it {reason}")
    assert told.stderr.endswith("then `meetingpool servers enable a`\n")
    [added] = await listed("servers", "list")
    assert (added["admin_state"], added["health"]) == ("disabled", "offline")


async def test_second_server_with_the_same_id_or_url_is_refused(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("servers", "add", "https://a.example", "--secret", "s", "--id", "a")
    await meetingpool("servers", "add", "https://b.example", "--secret", "s", "--id", "b")

    same_id = await meetingpool("servers", "add", "https://c.example", "--secret", "s", "--id", "a", exit_code=1)
    same_url = await meetingpool("servers", "set", "b", "--url", "https://a.example/bigbluebutton/api", exit_code=1)

    assert same_id.stderr.startswith("There is a server with the id a or the URL ")
    assert same_url.stderr == "Another server has the URL https://a.example/bigbluebutton/api/ already\n"
    assert [server["id"] for server in await listed("servers", "list")] == ["a", "b"]


async def test_set_changes_what_is_named_and_nothing_else(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("servers", "add", "https://a.example", "--secret", "s", "--id", "a", "--tag", "x", "--region", "north")

    told = await meetingpool("servers", "set", "a.example", "--load-multiplier", "0.5", "--secret", "new", "--no-tags")
    [server] = json.loads((await meetingpool("servers", "list", "--format", "json", "--show-secrets")).stdout)

    assert told.stdout == "Server a: secret changed, load_multiplier 1 -> 0.5, tags x -> none\n"
    assert (server["secret"], server["load_multiplier"], server["tags"], server["region"]) == ("new", 0.5, [], "north")
    await meetingpool("servers", "set", "a", "--region", "")
    assert (await listed("servers", "list"))[0]["region"] is None


async def test_limits_are_set_shown_and_taken_away(meetingpool: CommandLine, listed: Listed) -> None:
    limits = ("--max-users", "200", "--soft-users", "150", "--max-meetings", "40")
    await meetingpool("servers", "add", "https://a.example", "--secret", "s", "--id", "a", *limits)
    [server] = await listed("servers", "list")
    assert [server[name] for name in ("max_meetings", "max_users", "soft_meetings", "soft_users")] == [40, 200, None, 150]
    assert "-/40 meetings, 150/200 users" in (await meetingpool("servers", "list")).stdout

    told = await meetingpool("servers", "set", "a", "--no-max-meetings", "--soft-users", "120")

    assert told.stdout == "Server a: soft_users 150 -> 120, max_meetings 40 -> none\n"
    [server] = await listed("servers", "list")
    assert [server[name] for name in ("max_meetings", "max_users", "soft_meetings", "soft_users")] == [None, 200, None, 120]


async def test_limits_that_cannot_be_are_refused(meetingpool: CommandLine, listed: Listed) -> None:
    limits = ("--max-users", "200", "--soft-users", "150")
    await meetingpool("servers", "add", "https://a.example", "--secret", "s", "--id", "a", *limits)
    above = await meetingpool("servers", "set", "a", "--max-users", "149", exit_code=1)
    new = ("servers", "add", "https://b.example", "--secret", "s", "--max-meetings", "1", "--soft-meetings", "2")
    added = await meetingpool(*new, exit_code=1)
    both = await meetingpool("servers", "set", "a", "--max-users", "1", "--no-max-users", exit_code=2)
    none = await meetingpool("servers", "set", "a", "--max-users", "0", exit_code=2)
    huge = await meetingpool("servers", "set", "a", "--max-users", "99999999999", exit_code=1)

    assert above.stderr == "Server a is not changed: soft_users must not be above max_users: 150 is more than 149\n"
    assert added.stderr == "soft_meetings must not be above max_meetings: 2 is more than 1\n"
    assert "give either --max-users or --no-max-users" in both.stderr
    assert "--max-users" in none.stderr
    assert huge.stderr.startswith("max_users must be a whole number from 1")
    [server] = await listed("servers", "list")
    assert (server["max_users"], server["soft_users"]) == (200, 150)


@pytest.mark.parametrize("command", ["enable", "cordon", "disable", "panic", "remove", "set"])
async def test_unknown_server_is_refused(meetingpool: CommandLine, command: str) -> None:
    more = ["--region", "north"] if command == "set" else []

    told = await meetingpool("servers", command, "nowhere", *more, exit_code=1)

    assert told.stderr == "No server found with id: nowhere; `meetingpool servers list` shows them all\n"


async def test_host_name_of_several_servers_is_refused(meetingpool: CommandLine, pool: Fleet) -> None:
    told = await meetingpool("servers", "disable", "127.0.0.1", exit_code=1)

    assert told.stderr == "Several servers are on the host 127.0.0.1, name one by its id: a, b\n"


async def test_several_servers_change_together_or_not_at_all(meetingpool: CommandLine, listed: Listed, pool: Fleet) -> None:
    await meetingpool("servers", "cordon", "a", "nowhere", exit_code=1)
    assert {server["admin_state"] for server in await listed("servers", "list")} == {"enabled"}

    await meetingpool("servers", "cordon", "a", "b")
    assert {server["admin_state"] for server in await listed("servers", "list")} == {"cordoned"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "https://c.example", "--secret", "s"],
        ["set", "a", "--region", "south"],
        ["cordon", "a"],
        ["disable", "b"],
        ["remove", "b"],
        ["panic", "a"],
    ],
)
async def test_dry_run_changes_nothing(meetingpool: CommandLine, listed: Listed, placed: Placed, arguments: list[str]) -> None:
    await placed("lecture", "a")
    before = await listed("servers", "list"), await listed("meetings", "list")

    told = await meetingpool("servers", *arguments, "--dry-run")

    assert "Dry run, nothing is changed: " in told.stdout
    assert (await listed("servers", "list"), await listed("meetings", "list")) == before


async def test_dry_run_refuses_what_would_be_refused(meetingpool: CommandLine, placed: Placed) -> None:
    await placed("lecture", "a")

    await meetingpool("servers", "disable", "a", "--dry-run", exit_code=1)


@pytest.mark.parametrize("command", ["disable", "remove"])
async def test_server_with_running_meetings_is_not_switched_off(
    meetingpool: CommandLine, listed: Listed, placed: Placed, command: str
) -> None:
    for number in range(7):
        await placed(f"class-{number}", "a")

    told = await meetingpool("servers", command, "a", exit_code=1)

    assert "meetings run on it (class-0, class-1, class-2, class-3, class-4 and 2 more)" in told.stderr
    assert "`meetingpool servers cordon --wait a`" in told.stderr
    assert [server["admin_state"] for server in await listed("servers", "list")] == ["enabled", "enabled"]


async def test_removed_server_is_gone(meetingpool: CommandLine, listed: Listed, pool: Fleet) -> None:
    await meetingpool("servers", "remove", "a")

    assert [server["id"] for server in await listed("servers", "list")] == ["b"]


async def until_cordoned(database: Database, name: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with database.transaction() as connection:
                if await connection.fetchval("SELECT admin_state FROM servers WHERE id = $1", name) == "cordoned":
                    return
            await asyncio.sleep(0.02)


async def test_cordon_waits_until_the_server_is_empty(
    meetingpool: CommandLine, placed: Placed, pool: Fleet, database: Database
) -> None:
    await placed("lecture", "a", people=2)

    late = await meetingpool("servers", "cordon", "a", "--wait", "--timeout", "0.2", exit_code=1)
    assert late.stderr.startswith("Meetings still run after 0.2 s: ")

    await meetingpool("servers", "enable", "a")
    waiting = asyncio.create_task(meetingpool("servers", "cordon", "a", "--wait"))
    await until_cordoned(database, "a")
    async with database.transaction() as connection:
        await update_server(connection, ServerId("a"), {"admin_state": "disabled"})
    assert "Server a is empty\n" in (await waiting).stdout


async def test_cordon_that_somebody_takes_back_is_waited_for_no_longer(
    meetingpool: CommandLine, placed: Placed, database: Database
) -> None:
    await placed("lecture", "a")

    waiting = asyncio.create_task(meetingpool("servers", "cordon", "a", "--wait", exit_code=1))
    await until_cordoned(database, "a")
    async with database.transaction() as connection:
        await update_server(connection, ServerId("a"), {"admin_state": "enabled"})
    assert (await waiting).stderr.startswith("Somebody enabled server a ")


async def test_panic_ends_and_forgets_the_meetings_and_disables_the_server(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    for number in range(12):
        await placed(f"class-{number}", "a", people=1)
    await placed("elsewhere", "b")

    told = await meetingpool("servers", "panic", "a", "--yes")

    assert told.stdout.endswith("Server a: 12 meetings forgotten\n")
    assert pool.servers[0].meetings == {}
    assert [meeting["id"] for meeting in await listed("meetings", "list")] == ["elsewhere"]
    assert [server["admin_state"] for server in await listed("servers", "list")] == ["disabled", "enabled"]


async def test_panic_asks_first(meetingpool: CommandLine, listed: Listed, placed: Placed) -> None:
    await placed("lecture", "a")

    declined = await meetingpool("servers", "panic", "a", typed="n\n", exit_code=1)
    assert declined.stderr == "Nothing is changed\n"
    assert len(await listed("meetings", "list")) == 1

    await meetingpool("servers", "panic", "a", typed="y\n")
    assert await listed("meetings", "list") == []


async def test_panic_may_keep_the_state_and_skip_the_end_calls(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    await placed("lecture", "a")

    await meetingpool("servers", "panic", "a", "--yes", "--keep-state", "--skip-end-calls")

    assert list(pool.servers[0].meetings) == ["lecture"]
    assert await listed("meetings", "list") == []
    assert [server["admin_state"] for server in await listed("servers", "list")] == ["enabled", "enabled"]


async def test_panic_forgets_the_meetings_of_a_server_that_does_not_answer_and_names_them(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    await placed("lecture", "a")
    await pool.set_faults(pool.servers[0], Faults(refuse=True))

    told = await meetingpool("servers", "panic", "a", "--yes")

    assert told.stderr.startswith("Meeting lecture may run on: Server a did not answer: no connection: ")
    assert await listed("meetings", "list") == []
    assert (await listed("servers", "list"))[0]["admin_state"] == "disabled"


async def test_a_server_that_registered_itself_is_listed_with_its_token(
    database: Database, meetingpool: CommandLine, listed: Listed
) -> None:
    await meetingpool("tokens", "create", "hosts", "--role", "server", "--enters", "enabled")
    async with changing(database, SOMEBODY) as change:
        (token,) = await list_tokens(change.connection)
        given = {"url": "https://bbb1.example.org", "secret": "s"}
        await register_server(change, token, "one", given, lasts=300.0)
    [server] = await listed("servers", "list")
    assert (server["registered_by"], server["registration"], server["admin_state"]) == ("hosts", "held", "enabled")
    assert server["registered_until"] is not None
    assert "hosts, held until" in (await meetingpool("servers", "list")).stdout
