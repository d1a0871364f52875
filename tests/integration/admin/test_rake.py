"""Every task by its old name: what it prints, where, and its exit code."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Protocol

import pytest
import yaml
from typer.testing import Result

from admin.rake.tasks import TASKS
from meetingpool.database.engine import Database
from meetingpool.library.storage import MARK
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed, Placed
from tests.library import made_library
from tests.recordings import planted_recording

URL = "https://one.example.org/bigbluebutton/api/"
HEADINGS = ["HOSTNAME", "STATE", "STATUS", "MEETINGS", "USERS", "LARGEST", "MEETING", "VIDEOS", "LOAD", "BBB", "VERSION", "TAG"]
NO_MULTITENANCY = "Multitenancy is disabled, task can not be completed\n"


class Rake(Protocol):
    async def __call__(self, task: str, *, exit_code: int = 0, typed: str = "") -> Result: ...


@pytest.fixture
def rake(meetingpool: CommandLine) -> Rake:
    async def run(task: str, *, exit_code: int = 0, typed: str = "") -> Result:
        return await meetingpool("rake", task, exit_code=exit_code, typed=typed)

    return run


@pytest.fixture
async def one(meetingpool: CommandLine) -> str:
    """A server that does not exist."""
    await meetingpool("servers", "add", URL, "--secret", "s1", "--id", "one", "--tag", "gpu")
    return "one"


@pytest.fixture
def many_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTITENANCY_ENABLED", "true")


async def test_servers(rake: Rake, one: str, database: Database) -> None:
    assert (await rake("servers")).stdout == (
        f"id: one\n\turl: {URL}\n\tsecret: s1\n\tdisabled\n\tload: unavailable\n\tload multiplier: 1.0\n"
        "\tbbb version: \n\ttag: gpu\n\toffline\n"
    )
    assert [row["subject"] for row in await database.rows("SELECT subject FROM audit WHERE action = 'servers.show_secret'")] == [
        "all"
    ]


async def test_servers_of_which_there_are_none(rake: Rake) -> None:
    none = await rake("servers")
    assert (none.stdout, none.stderr) == ("", "No servers are configured\n")


async def test_servers_of_a_pool_that_was_polled(rake: Rake, pool: Fleet, placed: Placed, meetingpool: CommandLine) -> None:
    await placed("lecture", "a", people=3)
    polled = await rake("poll:all")
    lines = dict(zip("ab", polled.stdout.splitlines(), strict=True))
    assert lines["a"].startswith("Server id=a online load: ")
    assert lines["b"] == "Server id=b online load: 0.0"
    load = lines["a"].rpartition(" ")[2]
    assert f"\tload: {load}\n\tload multiplier: 1.0\n\tbbb version: 3.0.19\n\ttag: \n\tonline\n" in (await rake("servers")).stdout


@pytest.mark.parametrize("task", ["poll:servers", "poll:meetings", "poll:versions"])
async def test_every_round_of_polls_is_one(rake: Rake, pool: Fleet, task: str) -> None:
    assert (await rake(task)).stdout == "Server id=a online load: 0.0\nServer id=b online load: 0.0\n"


async def test_servers_add(rake: Rake, listed: Listed) -> None:
    added = await rake(f"servers:add[{URL},s\\,1,2.5,gpu]")
    [server] = await listed("servers", "list", "--show-secrets")
    assert added.stdout == f"OK\nid: {server['id']}\n"
    assert (server["secret"], server["load_multiplier"], server["tags"]) == ("s,1", 2.5, ["gpu"])
    assert server["admin_state"] == "disabled"


async def test_servers_add_with_a_multiplier_that_is_none(rake: Rake, listed: Listed) -> None:
    added = await rake(f"servers:add[{URL},s,much]")
    assert added.stdout.startswith("WARNING! Load-multiplier was not readable or 0, so it is now 1\nOK\nid: ")
    [server] = await listed("servers", "list")
    assert server["load_multiplier"] == 1.0


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("servers:add[https://a]", "Error: Please input at least a URL and a secret!\n"),
        ("servers:add[,s]", "Error: Please input at least a URL and a secret!\n"),
        ("servers:add[ftp://a,s]", "Error: Server URL must start with http:// or https://\n"),
        (
            "servers:add[https://a,s,-1]",
            "The load multiplier must be a number greater than 0, and 1000 at most; 2 makes each meeting count twice\n",
        ),
        ("meetings:info", "Error: Please input a meetingID!\n"),
        ("meetings:info[none]", "No meeting found with id: none; `meetingpool meetings list` shows them all\n"),
        ("meetings:list[none]", "No meeting found with id: none; `meetingpool meetings list` shows them all\n"),
        ("recordings:addToTenant", "No tenant ID was provided\n"),
        ("servers:sync", "ERROR: Missing 'path' parameter\n"),
        ("servers:sync[-,all]", "ERROR: Unknown sync mode 'all' (choose: keep cordon force)\n"),
    ],
)
async def test_what_cannot_be_is_told_on_standard_error(rake: Rake, task: str, sentence: str) -> None:
    refused = await rake(task, exit_code=1)
    assert (refused.stdout, refused.stderr) == ("", sentence)


@pytest.mark.parametrize("task", ["update", "remove", "enable", "cordon", "disable", "panic", "loadMultiplier", "tag"])
async def test_unknown_server_is_named_on_standard_error(rake: Rake, task: str) -> None:
    refused = await rake(f"servers:{task}[nobody]", exit_code=1)
    assert refused.stderr == "ERROR: No server found with id: nobody\n"


async def test_servers_update(rake: Rake, one: str, listed: Listed) -> None:
    assert (await rake("servers:update[one,s2,3]")).stdout == "Updating server one...\nOK\n"
    [server] = await listed("servers", "list", "--show-secrets")
    assert (server["secret"], server["load_multiplier"], server["tags"]) == ("s2", 3.0, ["gpu"])

    await rake("servers:update[one,,,]")
    [server] = await listed("servers", "list", "--show-secrets")
    assert (server["secret"], server["load_multiplier"], server["tags"]) == ("s2", 3.0, [])


async def test_servers_load_multiplier_and_tag(rake: Rake, one: str, listed: Listed) -> None:
    assert (await rake("servers:loadMultiplier[one,4]")).stdout == "OK\n"
    assert (await rake("servers:tag[one,big;new]")).stdout == "OK\n"
    [server] = await listed("servers", "list")
    assert (server["load_multiplier"], server["tags"]) == (4.0, ["big", "new"])
    await rake("servers:tag[one]")
    [server] = await listed("servers", "list")
    assert server["tags"] == []


async def test_servers_enable_cordon_disable_and_remove(rake: Rake, one: str, listed: Listed) -> None:
    async def state() -> list[str]:
        return [server["admin_state"] for server in await listed("servers", "list")]

    assert (await rake("servers:enable[one]")).stdout == "Enabling server one...\nOK\n"
    assert await state() == ["enabled"]
    assert (await rake("servers:cordon[one.example.org]")).stdout == "Cordoning server one.example.org...\nOK\n"
    assert await state() == ["cordoned"]
    assert (await rake("servers:disable[one]")).stdout == "Disabling server one...\nOK\n"
    assert await state() == ["disabled"]
    assert (await rake("servers:remove[one]")).stdout == "Removing server one...\nOK\n"
    assert await state() == []


@pytest.mark.parametrize(("typed", "is_cleared"), [("yes\n", True), ("YES\n", True), ("no\n", False), ("", False)])
async def test_servers_disable_asks_while_meetings_run(
    rake: Rake, listed: Listed, placed: Placed, pool: Fleet, typed: str, is_cleared: bool
) -> None:
    await placed("lecture", "a", people=2)
    told = (await rake("servers:disable[a]", typed=typed)).stdout

    assert "WARNING: You are trying to disable a server with active load." in told
    assert "If you still wish to continue please enter `yes`\n" in told
    assert told.endswith("OK\n")
    assert ("Clearing Meeting id=lecture\n" in told) == is_cleared
    assert ("lecture" not in pool.servers[0].meetings) == is_cleared
    [server, _] = await listed("servers", "list")
    assert server["admin_state"] == ("disabled" if is_cleared else "enabled")


async def test_servers_remove_does_not_lose_meetings(rake: Rake, placed: Placed, listed: Listed) -> None:
    await placed("lecture", "a")
    refused = await rake("servers:remove[a]", exit_code=1)
    assert refused.stdout == "Removing server a...\n"
    assert refused.stderr.startswith("Server a is not removed, because meetings run on it (lecture)")
    assert [meeting["id"] for meeting in await listed("meetings", "list")] == ["lecture"]


@pytest.mark.parametrize(
    ("arguments", "state", "is_ended"),
    [("a", "disabled", True), ("a,true", "enabled", True), ("a,false", "enabled", True), ("a,,true", "disabled", False)],
)
async def test_servers_panic(
    rake: Rake, placed: Placed, pool: Fleet, listed: Listed, arguments: str, state: str, is_ended: bool
) -> None:
    await placed("lecture", "a")
    told = (await rake(f"servers:panic[{arguments}]")).stdout
    assert told == "Panicking server a...\nClearing Meeting id=lecture\nOK\n"
    [server, _] = await listed("servers", "list")
    assert server["admin_state"] == state
    assert ("lecture" not in pool.servers[0].meetings) == is_ended


async def test_servers_meeting_list(rake: Rake, pool: Fleet) -> None:
    name = pool.servers[0].create_meeting("lecture").settings.name
    listed = (await rake("servers:meeting_list[a:b]")).stdout
    a, b = (f"\nServer ID: {server_id}\nServer Url: {server.url}\n" for server_id, server in zip("ab", pool.servers, strict=True))
    assert listed == f"{a}MeetingIDs: \n\t{name}\n{b}MeetingIDs: \n\t\n\tNo meetings to display\n"
    assert (await rake("servers:meeting_list")).stdout == listed


async def test_servers_add_all(rake: Rake, listed: Listed, tmp_path: Path) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(yaml.safe_dump({"servers": [{"url": URL, "secret": "s"}, {"url": "http://two", "secret": "t"}]}))
    added = await rake(f"servers:addAll[{file}]")
    [one, two] = sorted(await listed("servers", "list"), key=lambda server: str(server["url"]), reverse=True)
    assert added.stdout == f"server: {one['url']}\nid: {one['id']}\nserver: {two['url']}\nid: {two['id']}\n"
    assert "deprecated" in added.stderr

    file.write_text("servers: [{url: 'ftp://a', secret: s}]")
    assert (await rake(f"servers:addAll[{file}]")).stdout.startswith("Server URL must start with http")
    file.write_text("servers: 3")
    assert (await rake(f"servers:addAll[{file}]")).stdout.startswith("The file must hold `servers:`")


async def test_servers_yaml_and_sync(rake: Rake, one: str, listed: Listed, database: Database) -> None:
    await rake("servers:enable[one]")
    written = (await rake("servers:yaml")).stdout
    expected = {"url": URL, "secret": "s1", "load_multiplier": 1.0, "tag": "gpu", "enabled": True}
    assert written.startswith("---\nservers:\n")
    assert yaml.safe_load(written) == {"servers": {"one": expected}}
    verbose = yaml.safe_load((await rake("servers:yaml[true]")).stdout)["servers"]["one"]
    assert verbose == expected | {"state": "enabled", "load": -1.0, "bbb_version": None, "online": False}

    await rake("servers:cordon[one]")
    changed = written.replace("1.0", "2.0").replace("gpu", "big") + "  two:\n    secret: s\n    enabled: false\n"
    lines = (
        "[one] Server updated: load_multiplier=2.0\n[one] Server updated: tag=big\n[one] Server enabled\n[two] Server created\n"
    )
    assert (await rake("servers:sync[-,keep,true]", typed=changed)).stdout == lines
    assert len(await listed("servers", "list")) == 1
    assert (await rake("servers:sync[-,keep,no]", typed=changed)).stdout == lines
    assert (await rake("servers:sync[-,keep]", typed="servers: {}")).stdout == (
        "[one] Server not removed\n[two] Server not removed\n"
    )
    assert (await rake("servers:sync[-]", typed="servers: {}")).stdout == "[one] Server removed\n[two] Server removed\n"
    refused = await rake("servers:sync[-]", typed="servers: {a/b: {secret: s}}", exit_code=1)
    assert refused.stderr.startswith("ERROR: Server a/b of the list: ")


@pytest.mark.parametrize(
    ("mode", "said", "is_ended"),
    [
        ("cordon", "[a] Server not empty. Cordoned for removal\n", False),
        ("force", "[a] Server not empty. Ending meetings now...\n[a] Server removed\n", True),
    ],
)
async def test_servers_sync_lets_servers_with_meetings_go(
    rake: Rake, placed: Placed, pool: Fleet, mode: str, said: str, is_ended: bool
) -> None:
    await placed("lecture", "a")
    told = (await rake(f"servers:sync[-,{mode}]", typed="servers: {}")).stdout
    assert told == f"{said}[b] Server removed\n"
    assert ("lecture" not in pool.servers[0].meetings) == is_ended


async def test_status(rake: Rake, pool: Fleet, one: str, placed: Placed) -> None:
    await placed("lecture", "a", people=3)
    await rake("poll:all")
    blank, head, *rows = (await rake("status")).stdout.splitlines()
    assert blank == ""
    assert head.split("  ")[-1].strip() == "TAG"
    assert head.split() == HEADINGS
    assert len({len(row) for row in [head, *rows]}) == 1
    cells = {tuple(row.split())[:3]: row.split()[3:] for row in rows}
    assert cells[("127.0.0.1", "enabled", "online")]
    # No poll of it ever succeeded.
    assert cells[("one.example.org", "disabled", "offline")] == ["gpu"]
    assert any(row.split()[3:6] == ["1", "3", "3"] for row in rows)


@pytest.mark.parametrize("task", ["meetings", "meetings:list", "meetings[lecture]", "meetings:list[lecture]"])
async def test_meetings(rake: Rake, placed: Placed, pool: Fleet, task: str) -> None:
    await placed("lecture", "b")
    assert (await rake(task)).stdout == (f"\nMeetingID: lecture\n\tServer ID: b\n\tServer Url: {pool.servers[1].url}\n")


async def test_meetings_info(rake: Rake, placed: Placed, pool: Fleet) -> None:
    meeting = await placed("lecture", "a")
    assert isinstance(meeting.settings.metadata, dict)
    meeting.settings.metadata["bbb-context-name"] = "A course"
    told = (await rake("meetings:info[lecture]")).stdout
    head, _, metadata = told.partition("\tMetaData:\n")
    assert head.startswith("\nMeeting ID: lecture\n\tMeeting Name: ")
    assert f"\tInternal MeetingID: {meeting.internal_id}\n\tCreated Date: " in head
    assert f"\tRecording Enabled: false\n\tServer id: a\n\tSerevr url: {pool.servers[0].url}\n" in head
    assert metadata.startswith("\t\tbbb-context-name: A course\n\t\tanalytics-callback-url: \n")
    assert len(metadata.splitlines()) == 12

    del pool.servers[0].meetings["lecture"]
    assert (await rake("meetings:info[lecture]")).stdout.startswith("WARNING: Could not get info for meeting id=lecture: ")


async def test_meetings_end(rake: Rake, placed: Placed, pool: Fleet) -> None:
    await placed("lecture", "a")
    await placed("seminar", "b")
    asked = "WARNING: You are trying to clear active meetings.\nIf you still wish to continue please enter `yes`\n"
    assert (await rake("meetings:end", typed="no\n")).stdout == f"{asked}OK\n"
    assert "lecture" in pool.servers[0].meetings
    assert (await rake("meetings:end[lecture]", typed="yes\n")).stdout == f"{asked}Clearing Meeting id=lecture\nOK\n"
    assert "seminar" in pool.servers[1].meetings
    assert "Clearing Meeting id=seminar\n" in (await rake("meetings:end", typed="Yes\n")).stdout
    assert pool.servers[1].meetings == {}


async def test_meetings_end_without_meetings(rake: Rake, pool: Fleet) -> None:
    assert (await rake("meetings:end", typed="yes\n")).stdout.endswith("No meetings to clear\nOK\n")


@pytest.mark.parametrize("task", [name for name in TASKS if name.startswith("tenant")])
async def test_tenants_are_nothing_without_multitenancy(rake: Rake, task: str) -> None:
    refused = await rake(task, exit_code=1)
    assert (refused.stdout, refused.stderr) == ("", NO_MULTITENANCY)


async def test_tenants(rake: Rake, many_tenants: None) -> None:
    assert (await rake("tenants")).stdout == "Total number of tenants: 0\n"
    added = await rake("tenants:add[school,one:two]")
    tenant_id = added.stdout.removeprefix("OK\nNew Tenant id: ").strip()
    assert (await rake("tenants")).stdout == (
        f"id: {tenant_id}\n\tname: school\n\tsecrets: one:two\nTotal number of tenants: 1\n"
    )

    assert (await rake(f"tenants:update[{tenant_id},academy]")).stdout == f"OK\nUpdated Tenant id: {tenant_id}\n"
    await rake(f"tenants:update[{tenant_id},,three]")
    assert "\tname: academy\n\tsecrets: three\n" in (await rake("tenants")).stdout

    updated = await rake(f"tenants:update_lrs_basic[{tenant_id},https://lrs.example/xapi,me,pass]")
    assert updated.stdout == f"OK\nUpdated Tenant id: {tenant_id}\n"
    lrs = "\tlrs_endpoint: https://lrs.example/xapi\n"
    assert f"{lrs}\tlrs_username: me\n\tlrs_password: pass\n" in (await rake("tenants")).stdout
    await rake(f"tenants:update_lrs_kc[{tenant_id},https://lrs.example/xapi,https://kc.example/token,id,cs,me,pass]")
    token = "\tkc_token_url: https://kc.example/token\n\tkc_client_id: id\n\tkc_client_secret: cs\n"
    assert f"{lrs}{token}\tkc_username: me\n\tkc_password: pass\n" in (await rake("tenants")).stdout

    assert (await rake(f"tenants:remove[{tenant_id}]")).stdout == "Tenant was successfully deleted.\n"
    assert (await rake("tenants")).stdout == "Total number of tenants: 0\n"


@pytest.mark.parametrize("task", ["tenants:update[none,a]", "tenants:remove[none]", "tenantSettings:add[none,a,b,true]"])
async def test_unknown_tenant_is_a_sentence(rake: Rake, many_tenants: None, task: str) -> None:
    refused = await rake(task, exit_code=1)
    assert refused.stderr.startswith("No tenant found with id or name: none; ")


async def test_tenant_without_name_or_secrets(rake: Rake, many_tenants: None) -> None:
    refused = await rake("tenants:add[school]", exit_code=1)
    assert refused.stderr == "Error: both name and secrets are required to create a Tenant\n"


async def test_tenant_settings(rake: Rake, many_tenants: None, listed: Listed, meetingpool: CommandLine) -> None:
    await rake("tenants:add[school,one]")
    empty = await rake("tenantSettings")
    assert (empty.stdout, empty.stderr) == ("Tenant: school\n", "  No custom settings are configured\n")

    first = (await rake("tenantSettings:add[school,duration,90,true]")).stdout.removeprefix("OK\nNew TenantSetting id: ").strip()
    second = (await rake("tenantSettings:add[school,welcome,Hello,false]")).stdout.rpartition(" ")[2].strip()
    assert (await rake("tenantSettings")).stdout == (
        "Tenant: school\n"
        f"  id: {first}\n\tparam: duration\n\tvalue: 90\n\toverride: true\n"
        f"  id: {second}\n\tparam: welcome\n\tvalue: Hello\n\toverride: false\n"
    )
    rules = await listed("tenants", "rules", "list", "school")
    assert sorted((rule["call"], rule["rule"]) for rule in rules) == [
        ("create", "duration=90"),
        ("create", "welcome?Hello"),
        ("join", "duration=90"),
        ("join", "welcome?Hello"),
    ]
    await meetingpool("tenants", "rules", "set", "school", "create", "guests<9")
    assert (await rake("tenantSettings")).stderr.startswith("1 rules are no settings of Scalelite's kind")

    assert (await rake(f"tenantSettings:remove[{first}]")).stdout == "TenantSetting was successfully deleted.\n"
    rules = await listed("tenants", "rules", "list", "school")
    assert sorted(rule["rule"] for rule in rules) == ["guests<9", "welcome?Hello", "welcome?Hello"]
    refused = await rake(f"tenantSettings:remove[{first}]", exit_code=1)
    assert refused.stderr == f"TenantSetting with id {first} does not exist in the system. Exiting...\n"
    refused = await rake("tenantSettings:add[school,welcome,,true]", exit_code=1)
    assert refused.stderr == "Error: tenant_id, param, value and override are required to create a TenantSetting\n"


@pytest.mark.parametrize("task", ["liveness", "livenessProbe"])
async def test_liveness(rake: Rake, task: str) -> None:
    assert (await rake(task)).stdout == "success\n"


async def test_recordings_go_to_a_tenant_and_to_their_places(
    rake: Rake, many_tenants: None, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Listed
) -> None:
    monkeypatch.setenv("MEETINGPOOL_DATA_DIR", str(tmp_path))
    library = await made_library(database, tmp_path)
    await planted_recording(database, library.storage, {"video": {"index.html": b"x"}})
    tenant_id = (await rake("tenants:add[school,one]")).stdout.rpartition(" ")[2].strip()

    linked = await rake(f"recordings:addToTenant[{tenant_id}]")
    assert linked.stdout == f"All existing recordings have been successfully linked to tenant {tenant_id}\n"
    assert [each["tenant"] for each in await listed("recordings", "list")] == ["school"]
    assert "Database and files agree" in (await rake("recordings:update")).stdout


async def test_tasks_that_run_until_stopped(database: Database, database_url: str, pool: Fleet, tmp_path: Path) -> None:
    """They are the daemons."""
    await database.statement("UPDATE servers SET last_poll = NULL")
    environment = os.environ | {"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_DATA_DIR": str(tmp_path)}

    async def start(task: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "admin", "rake", task, env=environment)

    poller, importer = await start("poll[1]"), await start("recordings:watch[true,1]")
    mark = tmp_path / "recordings" / "published" / MARK
    try:
        async with asyncio.timeout(60):
            while await database.rows("SELECT FROM servers WHERE last_poll IS NULL") or not mark.exists():
                await asyncio.sleep(0.1)
    finally:
        for process in (poller, importer):
            process.terminate()
        codes = [await process.wait() for process in (poller, importer)]
    assert codes == [0, 0]


async def test_several_tasks_end_with_the_first_that_fails(meetingpool: CommandLine, one: str, listed: Listed) -> None:
    await meetingpool("rake", "servers:enable[nobody]", "servers:enable[one]", exit_code=1)
    [server] = await listed("servers", "list")
    assert server["admin_state"] == "disabled"
    assert (await meetingpool("rake", "servers:enable[one]", "liveness")).stdout == "Enabling server one...\nOK\nsuccess\n"
