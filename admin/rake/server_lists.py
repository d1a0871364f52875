"""The tasks `servers:addAll`, `servers:sync` and `servers:yaml`."""

import sys
from pathlib import Path
from typing import Any

import yaml

from admin.connection import changing, note_shown, this_account
from admin.rake.calls import Call, fail, warn
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.servers import all_servers
from meetingpool.domain.refusals import Refusal
from meetingpool.domain.server_sync import Action, Mode, Plan, Step
from meetingpool.domain.servers import AdminState
from meetingpool.operations.add_server import add_server, new_server
from meetingpool.operations.server_lists import read_servers, tag_of, written_servers
from meetingpool.operations.sync_servers import Synced, plan_sync, sync_servers

_NO = ("", "n", "no", "false")
_UPDATED = ("url", "secret", "load_multiplier", "tags")


async def add_all(call: Call) -> None:
    """Whatever goes wrong is printed, and the task ends well, as it always did."""
    warn("servers:addAll is deprecated: `meetingpool servers sync` takes such lists, and knows which servers there are")
    try:
        document = yaml.safe_load(_text_of(call.required("path")))
        for given in document["servers"]:
            server = new_server(given["url"], given["secret"], id_is_host_name=call.settings.server_id_is_hostname)
            async with changing(call.database, dry_run=False) as change:
                await add_server(change, server)
            print(f"server: {server.url}\nid: {server.id}")
    except (yaml.YAMLError, OSError, Refusal) as error:
        print(_sentence(error))
    except (AttributeError, KeyError, TypeError, ValueError):
        print("The file must hold `servers:`, and below it a list of servers, each with a url and a secret")


async def sync(call: Call) -> None:
    """As `servers sync --yes`."""
    if call.said("path") is None:
        fail("ERROR: Missing 'path' parameter")
    mode = call.said("mode") or Mode.CORDON
    if mode not in list(Mode):
        fail(f"ERROR: Unknown sync mode '{mode}' (choose: {' '.join(Mode)})")
    try:
        synced = await _synced(call, Mode(mode), dry_run=call.required("dryrun").lower() not in _NO)
    except (Refusal, OSError, UnicodeDecodeError) as error:
        fail(f"ERROR: {_sentence(error)}")
    for line in _lines_of(synced.plan):
        print(line)
    if synced.not_removed:
        fail("\n".join(f"ERROR: [{server_id}] Server still not empty! {why}" for server_id, why in synced.not_removed.items()))


async def export(call: Call) -> None:
    """Shows the secrets, as it always did; the audit keeps that."""
    await note_shown(call.database, "servers.show_secret", "all")
    async with call.database.transaction() as connection:
        servers = await all_servers(connection)
    print("---")
    sys.stdout.write(written_servers(servers, show_secrets=True, verbose=call.said("verbose") is not None))


async def _synced(call: Call, mode: Mode, *, dry_run: bool) -> Synced:
    wanted = read_servers(_text_of(call.required("path")))
    if dry_run:
        return Synced(plan=await plan_sync(call.database, this_account(), wanted, mode))
    async with Client(connect_timeout=call.settings.connect_timeout) as client:
        return await sync_servers(call.database, client, SystemClock(), this_account(), wanted, mode)


def _lines_of(plan: Plan) -> list[str]:
    lines = [f"[{step.server_id}] {said}" for step in plan.steps for said in _said_of(step)]
    return [*lines, *(f"[{server_id}] Server not removed" for server_id in plan.kept)]


def _said_of(step: Step) -> list[str]:
    match step.action:
        case Action.ADD:
            return ["Server created", *_state_of(step)]
        case Action.CHANGE:
            return [*(f"Server updated: {_updated(step, name)}" for name in _UPDATED if name in step.after), *_state_of(step)]
        case Action.CORDON:
            return ["Server not empty. Cordoned for removal"]
        case Action.END:
            return ["Server not empty. Ending meetings now...", "Server removed"]
        case Action.REMOVE:
            return ["Server removed"]


def _state_of(step: Step) -> list[str]:
    match step.after.get("admin_state"):
        case AdminState.ENABLED:
            return ["Server enabled"]
        case AdminState.CORDONED:
            return ["Server disabled (cordoned)"]
    return []


def _updated(step: Step, column: str) -> str:
    value: Any = step.after[column]
    match column:
        case "secret":
            return "secret=*****"
        case "tags":
            return f"tag={tag_of(value) or ''}"
        case _:
            return f"{column}={value}"


def _text_of(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text()


def _sentence(error: Exception) -> str:
    """Of YAML only where it is wrong: what stands there may be a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"The file is not YAML: {error.problem} in line {error.problem_mark.line + 1}"
    return str(error)
