"""`meetingpool alerts …`"""

import pytest

from meetingpool.database.engine import Database
from tests.integration.admin.conftest import CommandLine, Listed
from tests.integration.simulator.receiving import Receiver

URL = "https://chat.example:8443/services/canary?token=canary"
SECRET = "a-secret-that-is-a-canary"


async def test_an_address_is_added_listed_and_removed(meetingpool: CommandLine, listed: Listed) -> None:
    added = await meetingpool("alerts", "add", URL, "--secret", SECRET, "--kind", "server.offline", "--kind", "pool.unavailable")
    assert added.stdout.endswith(" (chat.example:8443) is told: pool.unavailable, server.offline\n")
    (hook,) = await listed("alerts", "list")
    assert list(hook) == ["id", "host", "kinds", "created_at"]
    assert (hook["host"], hook["kinds"]) == ("chat.example:8443", ["pool.unavailable", "server.offline"])
    for style in ("table", "json", "yaml", "csv"):
        assert "canary" not in (await meetingpool("alerts", "list", "--format", style)).output
    (shown,) = await listed("alerts", "list", "--show-urls")
    assert shown["url"] == URL
    told = await meetingpool("alerts", "remove", hook["id"])
    assert told.stdout == f"Address {hook['id']} (chat.example:8443) is told no more\n"
    assert (await meetingpool("alerts", "list")).stdout == "Nobody is told of alerts; `meetingpool alerts add` adds an address\n"
    told = await meetingpool("alerts", "remove", hook["id"], exit_code=1)
    assert told.stderr == f"No address has the id: {hook['id']}; `meetingpool alerts list` shows all that are told\n"


async def test_a_secret_that_nobody_gave_is_shown_once(meetingpool: CommandLine, database: Database) -> None:
    added = (await meetingpool("alerts", "add", URL)).stdout.splitlines()
    assert added[0].endswith("is told: everything")
    secret = added[1].removeprefix("Its secret, which is not shown again: ")
    assert len(secret) >= 40
    async with database.transaction() as connection:
        everything = str(await connection.fetch("SELECT action, subject, before, after FROM audit"))
    assert "alerts.add" in everything
    assert secret not in everything
    assert "canary" not in everything
    table = (await meetingpool("alerts", "list", "--show-urls")).stdout
    assert "all" in table.splitlines()[1].split()
    assert secret not in table


async def test_an_address_is_told_once(meetingpool: CommandLine) -> None:
    await meetingpool("alerts", "add", URL)
    told = await meetingpool("alerts", "add", URL, exit_code=1)
    assert told.stderr == "This address is told already; `meetingpool alerts list` shows all\n"


async def test_on_trial_nothing_changes(meetingpool: CommandLine, listed: Listed) -> None:
    told = await meetingpool("alerts", "add", URL, "--dry-run")
    assert told.stdout.startswith("Dry run, nothing is changed: Address ")
    assert "secret" not in told.stdout
    assert await listed("alerts", "list") == []


async def test_wrong_usage_is_refused(meetingpool: CommandLine) -> None:
    await meetingpool("alerts", "add", URL, "--kind", "server.sad", exit_code=2)
    await meetingpool("alerts", "add", exit_code=2)
    told = await meetingpool("alerts", "add", "https://10.0.0.1/", exit_code=1)
    assert told.stderr.endswith("; MEETINGPOOL_CALLBACK_ALLOW allows it\n")
    told = await meetingpool("alerts", "test", "nothing", exit_code=1)
    assert told.stderr.startswith("No address has the id: nothing")


async def test_a_test_says_what_came_back(meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch, listed: Listed) -> None:
    monkeypatch.setenv("MEETINGPOOL_CALLBACK_ALLOW", "127.0.0.0/8")
    async with Receiver.running() as receiver:
        await meetingpool("alerts", "add", receiver.origin, "--secret", "-", typed=f"{SECRET}\n")
        (hook,) = await listed("alerts", "list")
        told = await meetingpool("alerts", "test", hook["id"])
        assert told.stdout == f"Address {hook['id']} took the test: the address answered with status 200\n"
        assert b'"kind":"test"' in (await receiver.next()).body
        receiver.answers.append("418 Teapot")
        told = await meetingpool("alerts", "test", hook["id"], exit_code=1)
        assert told.stderr == "The test was not delivered: the address answered with status 418\n"


async def test_an_alert_is_listed_with_callbacks_as_nobodys(listed: Listed, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement) "
            "VALUES ('', '', 'alert', 'https://chat.example/x', '{}', 'a')"
        )
    (row,) = await listed("callbacks", "list")
    assert (row["tenant"], row["meeting"], row["kind"], row["host"]) == (None, None, "alert", "chat.example")
