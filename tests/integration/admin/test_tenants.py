"""`meetingpool tenants …`"""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from admin.commands.arguments import complete_tenant_names
from meetingpool.database.creates import Confirmation, Reservation, Said, Wish, confirm, reserve
from meetingpool.database.engine import Database
from meetingpool.database.meetings import find_meeting, set_state
from meetingpool.domain.meetings import MeetingKey, MeetingState
from meetingpool.domain.servers import ServerId
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed, Placed

FIELDS = [
    *("id", "name", "secret_count", "checksum_algorithms", "server_tags", "max_meetings", "max_users", "callback_hosts"),
    *("region", "lrs_endpoint", "meetings", "rules"),
]
OFF = "MULTITENANCY_ENABLED is off: tenants count when it is true and the gateways are started anew\n"
LRS = ["--lrs-endpoint", "https://lrs.example.org/xapi"]
KEYCLOAK = ["--kc-token-url", "http://10.0.0.1:8080/token", "--kc-client-id", "bbb", "--kc-username", "robot"]


@pytest.fixture
async def acme(meetingpool: CommandLine) -> None:
    """The tenant acme with the id id-of-acme and the secret "one"."""
    await meetingpool("tenants", "add", "acme", "--id", "id-of-acme", "--secret", "one")


async def secrets_of(meetingpool: CommandLine, name: str = "acme") -> list[str]:
    shown = json.loads((await meetingpool("tenants", "show", name, "--show-secrets", "--format", "json")).stdout)
    return list(shown["secrets"])


async def test_added_tenant_is_listed_with_everything_it_was_given(meetingpool: CommandLine, listed: Listed) -> None:
    told = await meetingpool(
        *("tenants", "add", "Acme", "--id", "one", "--secret", "s", "--tag", "gpu", "--tag", "big", "--max-meetings", "0"),
        *("--max-users", "500", "--callback-host", "LMS.example.org", "--callback-host", "*.Example.com"),
        *("--checksum-algorithm", "sha512", "--checksum-algorithm", "sha256", "--region", "eu"),
    )

    assert told.stdout == "Tenant acme is added: id one\n"
    [tenant] = await listed("tenants", "list")
    assert list(tenant) == FIELDS
    assert tenant == {
        "id": "one",
        "name": "acme",
        "secret_count": 1,
        "checksum_algorithms": ["sha256", "sha512"],
        "server_tags": ["big", "gpu"],
        "max_meetings": 0,
        "max_users": 500,
        "callback_hosts": ["*.example.com", "lms.example.org"],
        "region": "eu",
        "lrs_endpoint": None,
        "meetings": 0,
        "rules": 0,
    }


async def test_tenant_that_was_given_little_follows_the_settings(meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("tenants", "add", "acme", "--secret", "s")

    [tenant] = await listed("tenants", "list")
    assert len(tenant["id"]) == 36
    assert {name for name, value in tenant.items() if value is None} == {
        *("checksum_algorithms", "server_tags", "max_meetings", "max_users", "callback_hosts", "region", "lrs_endpoint"),
    }


async def test_tenant_without_a_secret_gets_one_that_is_shown(meetingpool: CommandLine) -> None:
    tried = await meetingpool("tenants", "add", "acme", "--dry-run")
    told = await meetingpool("tenants", "add", "acme")

    assert "secret" not in tried.stdout
    [shown] = [line.removeprefix("Its secret: ") for line in told.stdout.splitlines() if line.startswith("Its secret: ")]
    assert len(shown) == 64
    assert await secrets_of(meetingpool) == [shown]


async def test_secrets_come_from_files_and_standard_input_and_show_on_demand_only(
    meetingpool: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file\n")

    await meetingpool(
        *("tenants", "add", "acme", "--secret", "-", "--secret", "-", "--secret-file", str(file)), typed="typed-1\ntyped-2\n"
    )

    for command in (["list"], ["show", "acme"]):
        for style in ("table", "json", "yaml", "csv"):
            hidden = (await meetingpool("tenants", *command, "--format", style)).output
            shown = (await meetingpool("tenants", *command, "--format", style, "--show-secrets")).output
            assert not any(secret in hidden for secret in ("typed-1", "typed-2", "from-a-file"))
            assert all(secret in shown for secret in ("typed-1", "typed-2", "from-a-file"))
    assert await secrets_of(meetingpool) == ["typed-1", "typed-2", "from-a-file"]


async def test_programs_get_the_same_tenants_in_every_format(meetingpool: CommandLine, acme: None, listed: Listed) -> None:
    await meetingpool("tenants", "set", "acme", "--tag", "a", "--tag", "b")

    in_json = await listed("tenants", "list")
    in_yaml = yaml.safe_load((await meetingpool("tenants", "list", "--format", "yaml")).stdout)
    [in_csv] = csv.DictReader(io.StringIO((await meetingpool("tenants", "list", "--format", "csv")).stdout))
    assert in_yaml == in_json
    assert list(in_csv) == FIELDS
    assert (in_csv["name"], in_csv["server_tags"], in_csv["max_users"]) == ("acme", "a, b", "")


async def test_the_shell_completes_names(
    meetingpool: CommandLine, acme: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await meetingpool("tenants", "add", "beta", "--secret", "s")
    monkeypatch.setenv("MEETINGPOOL_DATABASE_URL", database_url)

    assert await asyncio.to_thread(complete_tenant_names, "") == ["acme", "beta"]
    assert await asyncio.to_thread(complete_tenant_names, "be") == ["beta"]


async def test_an_empty_list_says_how_to_begin(meetingpool: CommandLine) -> None:
    assert (await meetingpool("tenants", "list")).stdout == "No tenants are configured; `meetingpool tenants add` adds one\n"


async def test_set_changes_what_is_named_and_nothing_else(meetingpool: CommandLine, acme: None, listed: Listed) -> None:
    await meetingpool("tenants", "set", "acme", "--tag", "gpu", "--max-users", "9")

    told = await meetingpool(
        *("tenants", "set", "id-of-acme", "--name", "Beta", "--no-tags", "--max-meetings", "2", "--callback-host", "a.example"),
        *("--checksum-algorithm", "sha1", "--region", "north"),
    )

    assert told.stdout == (
        "Tenant acme: name acme -> beta, checksum_algorithms none -> sha1, max_meetings none -> 2, "
        "callback_hosts none -> a.example, region none -> north, server_tags gpu -> none\n"
    )
    [tenant] = await listed("tenants", "list")
    assert (tenant["id"], tenant["name"], tenant["server_tags"], tenant["max_users"]) == ("id-of-acme", "beta", None, 9)
    await meetingpool(
        *("tenants", "set", "beta", "--no-max-meetings", "--no-max-users", "--no-callback-hosts"),
        *("--no-checksum-algorithms", "--no-region"),
    )
    [tenant] = await listed("tenants", "list")
    assert [tenant[name] for name in FIELDS[3:10]] == [None] * 7


async def test_secrets_are_added_replaced_and_removed(meetingpool: CommandLine, acme: None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("two")

    told = await meetingpool("tenants", "set", "acme", "--add-secret-file", str(file))
    assert told.stdout == "Tenant acme: secrets 1 -> 2\n"
    await meetingpool("tenants", "set", "acme", "--add-secret", "zero", "--first")
    assert await secrets_of(meetingpool) == ["zero", "one", "two"]
    await meetingpool("tenants", "set", "acme", "--remove-secret", "1", "--remove-secret-file", str(file))
    assert await secrets_of(meetingpool) == ["one"]
    await meetingpool("tenants", "set", "acme", "--add-secret", "three", "--remove-secret", "-", typed="one\n")
    assert await secrets_of(meetingpool) == ["three"]
    await meetingpool("tenants", "set", "acme", "--secret", "a", "--secret", "b", "--secret", "a")
    assert await secrets_of(meetingpool) == ["a", "b"]


@pytest.mark.parametrize(
    ("removed", "typed", "sentence"),
    [
        ("1", "", "Tenant acme would be left without a secret: give it another one first, with --add-secret\n"),
        ("2", "", "Tenant acme has no secret with the number 2; they go from 1 to 1\n"),
        ("0", "", "Tenant acme has no secret with the number 0; they go from 1 to 1\n"),
        ("-", "another\n", "Tenant acme does not have the secret that is to be removed\n"),
    ],
)
async def test_a_secret_that_is_not_there_or_the_last_one_is_not_removed(
    meetingpool: CommandLine, acme: None, removed: str, typed: str, sentence: str
) -> None:
    told = await meetingpool("tenants", "set", "acme", "--remove-secret", removed, exit_code=1, typed=typed)

    assert told.stderr == sentence
    assert await secrets_of(meetingpool) == ["one"]


async def test_learning_records_are_reached_by_password_or_by_token(
    meetingpool: CommandLine, acme: None, listed: Listed, tmp_path: Path
) -> None:
    await meetingpool("tenants", "set", "acme", *LRS, "--lrs-username", "me", "--lrs-password", "-", typed="pass-canary\n")
    by_password = json.loads((await meetingpool("tenants", "show", "acme", "--format", "json")).stdout)
    assert (by_password["lrs_endpoint"], by_password["lrs_username"]) == ("https://lrs.example.org/xapi", "me")

    file = tmp_path / "password"
    file.write_text("kc-canary\n")
    given = ["--kc-client-secret", "-", "--kc-password-file", str(file)]
    told = await meetingpool("tenants", "set", "acme", *LRS, *KEYCLOAK, *given, typed="client-canary\n")
    shown = await meetingpool("tenants", "show", "acme", "--format", "json", "--show-secrets")
    by_token = json.loads(shown.stdout)
    assert (by_token["kc_token_url"], by_token["kc_client_id"], by_token["kc_username"]) == (
        *("http://10.0.0.1:8080/token", "bbb", "robot"),
    )
    assert "lrs_username" not in by_token
    assert "canary" not in told.output + shown.output

    await meetingpool("tenants", "set", "acme", "--no-lrs")
    assert (await listed("tenants", "list"))[0]["lrs_endpoint"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "ACME"], "There is a tenant with the id "),
        (["add", "other", "--id", "id-of-acme"], "There is a tenant with the id id-of-acme or the name other already\n"),
        (["add", "id-of-acme"], "Tenant acme is called so already: its id is id-of-acme\n"),
        (["add", "other", "--id", "Acme"], "Tenant acme is called so already: its id is id-of-acme\n"),
        (["set", "beta", "--name", "acme"], "Another tenant has the name acme already\n"),
        (["set", "beta", "--name", "id-of-acme"], "Tenant acme is called so already: its id is id-of-acme\n"),
    ],
)
async def test_no_two_tenants_are_called_the_same(
    meetingpool: CommandLine, acme: None, listed: Listed, arguments: list[str], sentence: str
) -> None:
    await meetingpool("tenants", "add", "beta", "--secret", "s")

    told = await meetingpool("tenants", *arguments, exit_code=1)

    assert told.stderr.startswith(sentence)
    assert [tenant["name"] for tenant in await listed("tenants", "list")] == ["acme", "beta"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nobody"],
        ["set", "nobody", "--no-tags"],
        ["remove", "nobody"],
        ["rules", "list", "nobody"],
        ["rules", "set", "nobody", "create", "record=true"],
        ["rules", "remove", "nobody", "1"],
    ],
)
async def test_unknown_tenant_is_refused(meetingpool: CommandLine, arguments: list[str]) -> None:
    told = await meetingpool("tenants", *arguments, exit_code=1)

    assert told.stderr == "No tenant found with id or name: nobody; `meetingpool tenants list` shows them all\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "beta", "--secret", "s"],
        ["set", "acme", "--max-users", "5", "--add-secret", "x"],
        ["remove", "acme"],
        ["rules", "set", "acme", "create", "duration<60"],
        ["rules", "remove", "acme", "duration<90"],
    ],
)
async def test_dry_run_changes_nothing(meetingpool: CommandLine, acme: None, listed: Listed, arguments: list[str]) -> None:
    await meetingpool("tenants", "rules", "set", "acme", "create", "duration<90")
    before = await listed("tenants", "list"), await listed("tenants", "rules", "list", "acme")

    told = await meetingpool("tenants", *arguments, "--dry-run")

    assert told.stdout.startswith("Dry run, nothing is changed: Tenant ")
    assert (await listed("tenants", "list"), await listed("tenants", "rules", "list", "acme")) == before


async def test_changes_say_when_tenants_are_switched_off(meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [
        ["add", "acme", "--secret", "s"],
        ["set", "acme", "--max-users", "1"],
        ["rules", "set", "acme", "create", "record=true"],
        ["rules", "remove", "acme", "record=true"],
        ["remove", "acme", "--yes"],
    ]
    assert [(await meetingpool("tenants", *change)).stderr for change in changes] == [OFF] * len(changes)
    assert (await meetingpool("tenants", "list")).stderr == ""
    monkeypatch.setenv("MULTITENANCY_ENABLED", "true")
    assert [(await meetingpool("tenants", *change)).stderr for change in changes] == [""] * len(changes)


async def test_removing_asks_first(meetingpool: CommandLine, acme: None, listed: Listed) -> None:
    declined = await meetingpool("tenants", "remove", "acme", exit_code=1, typed="n\n")
    assert declined.stderr == "Nothing is changed\n"
    assert len(await listed("tenants", "list")) == 1

    told = await meetingpool("tenants", "remove", "acme", typed="y\n")
    assert told.stdout.endswith("Tenant acme is removed: id id-of-acme\n")
    assert await listed("tenants", "list") == []


async def test_tenant_is_not_removed_while_its_meetings_run(
    meetingpool: CommandLine, acme: None, listed: Listed, pool: Fleet, database: Database
) -> None:
    for number in range(7):
        await place(database, f"class-{number}")

    told = await meetingpool("tenants", "remove", "acme", "--yes", exit_code=1)

    assert "its meetings run (class-0, class-1, class-2, class-3, class-4 and 2 more)" in told.stderr
    assert "`meetingpool tenants set acme --max-meetings 0`" in told.stderr
    assert "`meetingpool meetings end --all --tenant acme`" in told.stderr
    assert (await listed("tenants", "list"))[0]["meetings"] == 7


async def test_meetings_that_are_over_do_not_keep_a_tenant(
    meetingpool: CommandLine, acme: None, listed: Listed, pool: Fleet, database: Database
) -> None:
    await place(database, "class")
    await meetingpool("tenants", "add", "busy", "--id", "b", "--secret", "s")
    await place(database, "class", tenant="b")
    async with database.transaction() as connection:
        meeting = await find_meeting(connection, MeetingKey("id-of-acme", "class"))
        assert meeting
        await set_state(connection, meeting, MeetingState.ENDING, allowed=[MeetingState.LIVE])

    await meetingpool("tenants", "remove", "acme", "--yes")

    # What is left of it is called by its id.
    assert sorted(found["tenant"] for found in await listed("meetings", "list")) == ["busy", "id-of-acme"]
    assert [found["tenant"] for found in await listed("meetings", "list", "--tenant", "id-of-acme")] == ["id-of-acme"]


async def test_rules_are_listed_changed_and_removed(meetingpool: CommandLine, acme: None, listed: Listed) -> None:
    told = [
        (await meetingpool("tenants", "rules", "set", "acme", call, rule)).stdout
        for call, rule in [
            *(("create", "duration<90"), ("create", "welcome?Hello = hi"), ("join", "userID-"), ("create", "record=false")),
            *(("join", "record=false"), ("create", "disabledFeatures+chat"), ("create", "duration<60")),
        ]
    ]
    rules = await listed("tenants", "rules", "list", "id-of-acme")
    assert list(rules[0]) == ["id", "call", "rule", "operator", "name", "value"]
    assert [(rule["call"], rule["rule"], rule["operator"]) for rule in rules] == [
        ("create", "duration<60", "cap"),
        ("create", "welcome?Hello = hi", "default"),
        ("join", "userID-", "remove"),
        ("create", "record=false", "override"),
        ("join", "record=false", "override"),
        ("create", "disabledFeatures+chat", "append"),
    ]
    number = rules[0]["id"]
    assert told[-1] == f"Tenant acme has rule {number}: create duration<60, which was duration<90\n"
    assert (await listed("tenants", "list"))[0]["rules"] == 6
    shown = json.loads((await meetingpool("tenants", "show", "acme", "--format", "json")).stdout)
    assert shown["join_rules"] == ["userID-", "record=false"]

    gone = await meetingpool("tenants", "rules", "remove", "acme", str(number), "userID-")
    assert gone.stdout.endswith(" no more: join userID-\n")
    both = await meetingpool("tenants", "rules", "remove", "acme", "record=false", exit_code=1)
    assert both.stderr.startswith("Tenant acme has several rules record=false, name one by its number: ")
    await meetingpool("tenants", "rules", "remove", "acme", "welcome?Hello = hi", "never-was", exit_code=1)
    assert len(await listed("tenants", "rules", "list", "acme")) == 4


async def test_an_operator_can_be_named_where_a_sign_would_be_in_the_name(
    meetingpool: CommandLine, acme: None, listed: Listed
) -> None:
    await meetingpool("tenants", "rules", "set", "acme", "join", "odd=name", "--operator", "default", "--value", "a<b")

    [rule] = await listed("tenants", "rules", "list", "acme")
    assert (rule["operator"], rule["name"], rule["value"]) == ("default", "odd=name", "a<b")


async def test_meetings_go_by_the_names_of_their_tenants(
    meetingpool: CommandLine, acme: None, listed: Listed, placed: Placed, pool: Fleet, database: Database
) -> None:
    await placed("seminar", "a")
    await place(database, "lecture")
    await place(database, "seminar")

    assert [(found["id"], found["tenant"]) for found in await listed("meetings", "list")] == [
        *(("seminar", "default"), ("lecture", "acme"), ("seminar", "acme")),
    ]
    for name in ("acme", "ACME", "id-of-acme"):
        assert [found["id"] for found in await listed("meetings", "list", "--tenant", name)] == ["lecture", "seminar"]
    assert [found["id"] for found in await listed("meetings", "list", "--tenant", "default")] == ["seminar"]
    unclear = await meetingpool("meetings", "show", "seminar", exit_code=1)
    assert unclear.stderr == "Several tenants have a meeting seminar, name one by --tenant: default, acme\n"
    shown = json.loads((await meetingpool("meetings", "show", "lecture", "--tenant", "acme", "--format", "json")).stdout)
    assert shown["tenant"] == "acme"


async def place(database: Database, meeting_id: str, *, tenant: str = "id-of-acme") -> None:
    """A live meeting of a tenant on server a."""
    wanted = Reservation(server_id=ServerId("a"), ceiling=float("inf"), expected=1.0)
    attempt = await reserve(database, Wish(key=MeetingKey(tenant, meeting_id), wanted=wanted, said=Said()))
    await confirm(database, Confirmation(attempt=attempt, internal_id=f"internal id of {tenant} {meeting_id}"))


async def test_whoever_is_shown_secrets_is_in_the_audit(meetingpool: CommandLine, database: Database) -> None:
    await meetingpool("tenants", "add", "school", "--id", "one", "--secret", "canary")
    await meetingpool("tenants", "list")
    await meetingpool("tenants", "show", "school")
    shown = "SELECT subject, tenant FROM audit WHERE action = 'tenants.show_secret' ORDER BY id"
    assert await database.rows(shown) == []

    await meetingpool("tenants", "list", "--show-secrets")
    await meetingpool("tenants", "show", "school", "--show-secrets")
    assert [tuple(row) for row in await database.rows(shown)] == [("all", None), ("one", "one")]
