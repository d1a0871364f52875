"""`meetingpool tokens …` and `meetingpool audit …`"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from admin import completion
from meetingpool.database.audit import find_audit, purge_audit
from meetingpool.database.engine import Database
from meetingpool.domain.access import Role
from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState
from meetingpool.operations.api_tokens import create_passing_token, token_of
from meetingpool.operations.changes import changing
from tests.actors import SOMEBODY
from tests.integration.admin.conftest import CommandLine, Listed
from tests.tenants import add_tenants

NAMES = ["id", "name", "role", "tenant", "created_at", "created_by", "expires_at", "last_used_at", "revoked_at", "registers"]


async def test_a_token_is_printed_once_and_counts_until_it_is_revoked(
    database: Database, meetingpool: CommandLine, listed: Listed
) -> None:
    told = await meetingpool("tokens", "create", "ansible", "--role", "operator", "--expires-in", "90d")
    plain = told.stdout.splitlines()[-1]
    token = await token_of(database, plain)
    assert token is not None
    assert (token.name, token.role) == ("ansible", Role.OPERATOR)
    assert token.expires_at is not None
    assert timedelta(days=89, hours=23) < token.expires_at - datetime.now(UTC) <= timedelta(days=90)
    (shown,) = await listed("tokens", "list")
    assert list(shown) == NAMES
    assert plain not in (await meetingpool("tokens", "list")).stdout
    assert (await meetingpool("tokens", "revoke", "ansible")).stdout == "Token ansible counts no more\n"
    assert await token_of(database, plain) is None
    assert (await listed("tokens", "list"))[0]["revoked_at"]


async def test_programs_get_the_token_in_its_record(database: Database, meetingpool: CommandLine) -> None:
    await add_tenants(database, "school")
    told = await meetingpool("tokens", "create", "theirs", "--role", "tenant-admin", "--tenant", "school", "--format", "json")
    record = json.loads(told.stdout)
    assert (record["tenant"], record["expires_at"]) == ("school", None)
    token = await token_of(database, record["token"])
    assert token is not None
    assert token.tenant == "id-of-school"


async def test_a_token_says_which_servers_may_register_and_how_they_come(
    database: Database, meetingpool: CommandLine, listed: Listed
) -> None:
    await meetingpool("tokens", "create", "plain", "--role", "server")
    places = ("--hosts", "*.Example.org", "--hosts", "10.20.0.0/16")
    given = ("--tag", "b", "--tag", "a", "--region", "eu", "--load-multiplier", "2", "--replaces", "plain")
    told = await meetingpool("tokens", "create", "hosts", "--role", "server", "--enters", "enabled", *places, *given)
    token = await token_of(database, told.stdout.splitlines()[-1])
    assert token is not None
    assert token.registers == RegistrationRules(
        enters=AdminState.ENABLED,
        hosts=("*.example.org", "10.20.0.0/16"),
        tags=("a", "b"),
        region="eu",
        load_multiplier=2.0,
        replaces=("plain",),
    )
    shown = {each["name"]: each["registers"] for each in await listed("tokens", "list")}
    assert (shown["plain"]["enters"], shown["plain"]["hosts"], shown["plain"]["tags"]) == ("cordoned", [], None)
    assert shown["hosts"]["hosts"] == ["*.example.org", "10.20.0.0/16"]
    async with database.transaction() as connection:
        entry = (await find_audit(connection))[0]
    assert entry.after is not None
    assert entry.after["registers"]["enters"] == "enabled"


async def test_a_dry_run_makes_and_revokes_nothing(database: Database, meetingpool: CommandLine, listed: Listed) -> None:
    told = await meetingpool("tokens", "create", "one", "--role", "admin", "--dry-run")
    assert "mp_" not in told.stdout
    assert await listed("tokens", "list") == []
    await meetingpool("tokens", "create", "one", "--role", "admin")
    await meetingpool("tokens", "revoke", "one", "--dry-run")
    assert (await listed("tokens", "list"))[0]["revoked_at"] is None
    async with database.transaction() as connection:
        assert [entry.action for entry in await find_audit(connection)] == ["tokens.create"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "n", "--role", "tenant-admin"), "needs a tenant"),
        (("create", "n", "--role", "admin", "--tenant", "school"), "no other may have one"),
        (("create", "n", "--role", "admin", "--expires-in", "soon"), "like 90d, 12h or 30m"),
        (("create", "\n", "--role", "admin"), "needs a name"),
        (("create", "n", "--role", "admin", "--enters", "enabled"), "Only a token of the role server registers servers"),
        (("create", "n", "--role", "server", "--hosts", "*"), "is not a host name like"),
        (("create", "n", "--role", "server", "--hosts", "10.0.0.1/8"), "is not a network like"),
        (("create", "n", "--role", "server", "--tag", "a b"), "A tag must be a word"),
        (("create", "n", "--role", "server", "--load-multiplier", "0"), "greater than 0"),
        (("create", "n", "--role", "server", "--replaces", "nobody"), "There is no token nobody of the role server"),
        (("revoke", "nobody"), "`meetingpool tokens list` shows them all"),
    ],
)
async def test_what_makes_no_sense_is_refused(meetingpool: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in (await meetingpool("tokens", *arguments, exit_code=1)).stderr


async def test_all_tokens_are_revoked_or_none(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("tokens", "create", "one", "--role", "admin")
    await meetingpool("tokens", "revoke", "one", "nobody", exit_code=1)
    assert (await listed("tokens", "list"))[0]["revoked_at"] is None


async def test_the_shell_completes_tokens_that_count(
    meetingpool: CommandLine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    for name in ("one", "two", "other"):
        await meetingpool("tokens", "create", name, "--role", "admin")
    await meetingpool("tokens", "revoke", "other")
    monkeypatch.setenv("MEETINGPOOL_DATABASE_URL", database_url)
    assert await asyncio.to_thread(completion.token_names, "o") == ["one"]


async def test_a_passing_token_takes_the_place_of_the_one_before(database: Database) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    made = []
    for _ in range(2):
        async with changing(database, SOMEBODY) as change:
            made.append(await create_passing_token(change, "demo", Role.ADMIN, later))
    first, second = made
    assert first.token.name != second.token.name
    assert await token_of(database, first.plain) is None
    assert await token_of(database, second.plain) is not None


async def test_the_audit_is_listed_the_newest_first(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("servers", "add", "http://bbb.example", "--secret", "canary", "--id", "one")
    await meetingpool("servers", "cordon", "one")
    await meetingpool("tokens", "create", "t", "--role", "admin")
    entries = await listed("audit", "list")
    assert [entry["action"] for entry in entries] == ["tokens.create", "servers.cordon", "servers.add"]
    assert (entries[1]["subject"], entries[1]["before"]) == ("one", {"admin_state": "disabled"})
    assert (entries[1]["actor_kind"], "@" in entries[1]["actor"]) == ("command", True)
    table = (await meetingpool("audit", "list")).stdout
    assert "admin_state disabled -> cordoned" in table
    assert "canary" not in table + json.dumps(entries)


async def test_the_audit_is_asked_for_what_was_done_to_what_and_when(
    database: Database, meetingpool: CommandLine, listed: Listed
) -> None:
    for name in ("one", "two"):
        await meetingpool("servers", "add", f"http://{name}.example", "--secret", "s", "--id", name)
    await meetingpool("tokens", "create", "t", "--role", "admin")
    async with database.transaction() as connection:
        await connection.execute("UPDATE audit SET at = now() - interval '3 days' WHERE subject = 'one'")

    async def subjects(*options: str) -> list[str]:
        return [entry["subject"] for entry in await listed("audit", "list", *options)]

    assert await subjects("--subject", "one") == ["one"]
    assert await subjects("--action", "servers") == ["two", "one"]
    assert await subjects("--action", "tokens.create") == ["t"]
    assert await subjects("--since", "2d") == ["t", "two"]
    assert await subjects("--since", "2000-01-01") == ["t", "two", "one"]
    assert await subjects("--limit", "1") == ["t"]
    assert await subjects("--tenant", "nobody") == []
    assert "--limit shows more" in (await meetingpool("audit", "list", "--limit", "1")).stdout
    assert "is neither a date" in (await meetingpool("audit", "list", "--since", "then", exit_code=1)).stderr


async def test_old_entries_are_dropped(database: Database, meetingpool: CommandLine) -> None:
    for name in ("one", "two", "three"):
        await meetingpool("tokens", "create", name, "--role", "admin")
    async with database.transaction() as connection:
        await connection.execute("UPDATE audit SET at = now() - interval '401 days' WHERE subject <> 'two'")
        assert await purge_audit(connection, 1, days=400) == 1
        assert await purge_audit(connection, 10, days=400) == 1
        assert await purge_audit(connection, 10, days=400) == 0
        assert [entry.subject for entry in await find_audit(connection)] == ["two"]
